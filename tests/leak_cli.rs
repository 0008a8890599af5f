//! `heapwatch leak` as a program: documents, exit status, errors.
#![cfg(feature = "cli")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn heapwatch(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_heapwatch"))
        .args(["leak", "--input", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that refuses early closes its end: that is its right, and its answer is what counts.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

fn leaking() -> String {
    let row = |i: u64| format!("{},{}\n", 1_700_000_000 + 60 * i, 300_000_000 + 100_000 * i + (i * 7919 % 1000) * 500);
    std::iter::once("timestamp,value\n".to_owned()).chain((0..4000).map(row)).collect()
}

fn json(out: &Output) -> serde_json::Value {
    serde_json::from_slice(&out.stdout).expect("a JSON document")
}

#[test]
fn the_document_has_what_the_contract_names() {
    let out = heapwatch(&["--format", "json", "--limit", "2000000000"], &leaking());
    let v = json(&out);
    assert_eq!((out.status.code(), v["schema"].as_str()), (Some(0), Some("heapwatch.leak/1")));
    assert_eq!(v["leak"], true);
    let rate = v["rate_bytes_per_hour"].as_f64().expect("a number");
    assert!((rate / 6e6 - 1.0).abs() < 0.03, "{rate}");
    for field in ["onset", "exhaustion"] {
        assert!(v[field].as_str().is_some_and(|t| t.ends_with('Z')), "{field}: {}", v[field]);
        assert!(v[format!("{field}_s")].is_f64());
    }
    assert_eq!(v["severity"], "critical");
    assert!(v["alarms"][0]["at"].is_string() && v["alarms"][0]["cleared_at"].is_null());
    assert!(v["evidence"].as_array().is_some_and(|e| e.len() >= 3));
}

#[test]
fn exit_status_follows_fail_on() {
    assert_eq!(heapwatch(&["--fail-on", "critical"], &leaking()).status.code(), Some(1));
    let flat: String =
        leaking().lines().map(|l| l.split(',').next().map_or(String::new(), |t| format!("{t},5\n"))).collect();
    let flat = flat.replace("timestamp,5", "timestamp,value");
    assert_eq!(heapwatch(&["--fail-on", "low"], &flat).status.code(), Some(0));
    assert_eq!(heapwatch(&["--fail-on", "whatever"], &flat).status.code(), Some(2));
}

#[test]
fn every_format_and_detector_answers() {
    for format in ["csv", "text", "json"] {
        for detector in ["model", "rules"] {
            let out = heapwatch(&["--format", format, "--detector", detector], &leaking());
            assert!(out.status.success() && !out.stdout.is_empty(), "{format} {detector}");
        }
    }
    let csv = heapwatch(&["--format", "csv"], &leaking()).stdout;
    let text = String::from_utf8(csv).expect("text");
    let columns: Vec<usize> = text.lines().map(|l| l.split(',').count()).collect();
    assert!(columns.iter().all(|c| *c == columns[0]), "{text}");
}

#[test]
fn thin_input_is_an_answer_and_unreadable_input_an_error() {
    for input in ["timestamp,value\n", "timestamp,value\n1,2\n", "timestamp,value\n1,NaN\n2,inf\n"] {
        let out = heapwatch(&["--format", "json"], input);
        let v = json(&out);
        assert!(out.status.success() && v["leak"] == false && v["insufficient"].is_string(), "{input}");
    }
    let out = heapwatch(&[], "timestamp,value\n1,2\n2,three\n");
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("line 3") && out.stdout.is_empty(), "{said}");
}
