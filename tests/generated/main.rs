//! Files that the command line generates, held against the tools that will read them.
//!
//! A tool that is missing fails the test and says how to install it.
#![cfg(feature = "cli")]

mod cases;
mod dashboard;
mod manifests;
mod rules;
mod runbook;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The subject of all tests: with a namespace, so that matchers of two kinds are there.
const SUBJECT: [&str; 6] = ["--service", "checkout", "--namespace", "shop", "--label", "team=payments"];

fn heapwatch(verb: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapwatch"));
    command.arg(verb).args(SUBJECT).args(more).output().expect("the binary starts")
}

fn text(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).expect("text")
}

/// The rule file with every alert in it.
fn rule_file(format: &str) -> String {
    text(&heapwatch("rules", &["--ceiling", "900MiB", "--format", format]))
}

fn rule_groups() -> Value {
    serde_json::from_str(&rule_file("json")).expect("JSON")
}

/// The names of all alerts, in the order of the file.
fn alert_names() -> Vec<String> {
    let groups = rule_groups();
    let rules = groups["groups"].as_array().into_iter().flatten().filter_map(|g| g["rules"].as_array()).flatten();
    rules.filter_map(|r| r["alert"].as_str().map(str::to_owned)).collect()
}

/// Runs a tool in a folder. Its output counts as one text.
fn tool(program: &str, arguments: &[&str], dir: &Path) -> (bool, String) {
    let out = Command::new(program).args(arguments).current_dir(dir).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}; run scripts/install-test-tools"));
    (out.status.success(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
}

fn must(program: &str, arguments: &[&str], dir: &Path) -> String {
    let (fine, said) = tool(program, arguments, dir);
    assert!(fine, "{program} {arguments:?}: {said}");
    said
}

/// A folder of its own from which node finds the packages that the install script has left there.
fn node_folder() -> TempDir {
    let tools = format!("{}/target/test-tools", env!("CARGO_MANIFEST_DIR"));
    let found = Path::new(&tools).join("node_modules/typescript").exists();
    assert!(found, "node packages are missing; run scripts/install-test-tools");
    TempDir::new_in(tools).expect("a folder")
}

/// Type-checks `NAME.mts` in a folder of node's, and leaves `NAME.mjs`.
fn type_check(dir: &Path, name: &str, source: &str) {
    let script = format!("{name}.mts");
    std::fs::write(dir.join(&script), source).expect("written");
    let options = "--strict --skipLibCheck --module esnext --moduleResolution bundler --target es2022";
    let compiler = "../node_modules/typescript/bin/tsc";
    let arguments: Vec<&str> = std::iter::once(compiler).chain(options.split(' ')).chain([script.as_str()]).collect();
    must("node", &arguments, dir);
}
