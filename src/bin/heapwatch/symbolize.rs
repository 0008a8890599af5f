//! `heapwatch symbolize`: names for a profile that was taken from a stripped binary.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use heapwatch::{Error, Result};

/// Names for a profile taken from a stripped binary
#[derive(Debug, Args)]
pub struct Symbolize {
    /// The profile (profile.proto, gzip or not); `-` is standard input
    profile: PathBuf,
    /// The same binary with symbols or debug information; its build id must be the profile's
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Where the named profile is written; `-` is standard output [default: the profile itself]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Symbolize {
    pub fn run(&self) -> Result<ExitCode> {
        let (bytes, name) = read(&self.profile)?;
        let done = heapwatch::symbolize::symbolize(&bytes, &name, &self.binary)?;
        let to = self.output.as_ref().unwrap_or(&self.profile);
        write(to, &done.profile)?;
        eprintln!("{name}: {} locations named, {} without a name", done.named, done.nameless);
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, String)> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes),
        _ => fs::read(path),
    };
    Ok((read.map_err(|e| Error::cannot_read(&name, e))?, name))
}

/// Written beside and renamed, so that nothing half-written is left.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if path == Path::new("-") {
        return io::stdout().lock().write_all(bytes).map_err(|e| Error::cannot_write("standard output", e));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|e| {
        // The first error is the one to report.
        let _ = fs::remove_file(&beside);
        Error::cannot_write(&path.display().to_string(), e)
    })
}
