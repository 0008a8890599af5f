//! `heapwatch k8s` and `heapwatch capacity` against real servers, rude servers, bad files and the reference validators.
#![cfg(feature = "cli")]

mod bad_input;
mod capacity;
mod manifests;
mod rude_server;
mod server;
mod usage;

use std::process::{Command, Output, Stdio};

/// The command with standard output and error caught.
fn heapwatch(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heapwatch")).args(args).stdin(Stdio::null()).output().expect("the binary runs")
}

fn stdout(out: &Output) -> String {
    assert!(out.status.success(), "{}", stderr(out));
    String::from_utf8(out.stdout.clone()).expect("UTF-8")
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn json(out: &Output) -> serde_json::Value {
    serde_json::from_str(&stdout(out)).expect("JSON")
}

/// A program the test needs; fails with how to install it.
pub fn tool(name: &str) -> Command {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().expect("sh").status.success();
    assert!(found, "`{name}` is missing: scripts/install-test-tools");
    Command::new(name)
}
