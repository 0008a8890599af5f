//! Runs the reference reader, `go tool pprof`. Its absence is a failure.

use std::path::Path;
use std::process::Command;

/// Output of `go tool pprof` on profiles.
pub fn pprof(arguments: &[&str], profiles: &[&[u8]]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<_> = profiles.iter().enumerate().map(|(n, bytes)| written(directory.path(), n, bytes)).collect();
    run(directory.path(), arguments.iter().map(|a| (*a).to_owned()).chain(files).collect())
}

/// The same with the second profile subtracted.
pub fn diff(arguments: &[&str], newer: &[u8], older: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let base = format!("-diff_base={}", written(directory.path(), 0, older));
    let newer = written(directory.path(), 1, newer);
    run(directory.path(), arguments.iter().map(|a| (*a).to_owned()).chain([base, newer]).collect())
}

fn written(directory: &Path, number: usize, bytes: &[u8]) -> String {
    let path = directory.join(format!("profile{number}"));
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(home: &Path, arguments: Vec<String>) -> String {
    let output = Command::new("go").args(["tool", "pprof"]).args(arguments).env("PPROF_TMPDIR", home).output();
    let output = output.expect("`go tool pprof` is needed: apt-get install golang-go");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    out.into_owned()
}
