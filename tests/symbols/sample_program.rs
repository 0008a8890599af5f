//! Builds and runs the sample program, and reads the stacks that it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use heapwatch::collect::symbols::Module;
use tempfile::TempDir;

pub struct Sample {
    pub modules: Vec<Module>,
    /// Label and return addresses, leaf first.
    pub stacks: Vec<(String, Vec<u64>)>,
    pub binary: PathBuf,
    _directory: TempDir,
}

impl Sample {
    pub fn build(debug: &str, mangling: &str, optimization: &str) -> Sample {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("sample");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/symbols");
        let status = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
            // Legacy mangling is chosen by an unstable option.
            .env("RUSTC_BOOTSTRAP", "1")
            .current_dir(source)
            .args(["sample.rs", "--edition", "2024", "-Zunstable-options", "-o"])
            .arg(&binary)
            .arg(format!("-Cdebuginfo={debug}"))
            .arg(format!("-Csymbol-mangling-version={mangling}"))
            .arg(format!("-Copt-level={optimization}"))
            .status()
            .unwrap();
        assert!(status.success());
        Sample::run(binary, directory)
    }

    fn run(binary: PathBuf, directory: TempDir) -> Sample {
        let output = Command::new(&binary).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let address = |text: &str| usize::from_str_radix(text, 16).unwrap();
        let line = |label: &str| text.lines().find_map(|line| line.strip_prefix(label)).unwrap().trim().to_owned();
        let bias = address(line("maps ").split('-').next().unwrap());
        let end = address(line("last ").split(['-', ' ']).nth(1).unwrap());
        let module = Module {
            path: binary.clone(),
            bias,
            start: bias,
            end,
            file_offset: 0,
            build_id: Vec::new(),
            is_main: false,
        };
        let stacks = text.lines().filter(|line| !line.starts_with("maps ") && !line.starts_with("last "));
        let stacks = stacks.map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap().to_owned(), words.map(hex).collect())
        });
        Sample { modules: vec![module], stacks: stacks.collect(), binary, _directory: directory }
    }
}
