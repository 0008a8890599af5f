//! `heapwatch anomaly` as a program: documents, saved state, odd inputs, exit status.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn started(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_heapwatch"))
        .args(["anomaly", "--input", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn heapwatch(arguments: &[&str], input: &str) -> Output {
    let mut child = started(arguments);
    let mut pipe = child.stdin.take().expect("piped");
    let input = input.to_owned();
    // Input and output at once: the answer is larger than a pipe holds. A program that refuses early closes its end.
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(input.as_bytes());
    });
    let out = child.wait_with_output().expect("the program ends");
    writer.join().expect("written");
    out
}

fn answered(arguments: &[&str], input: &str) -> Value {
    let out = heapwatch(&[arguments, &["--format", "json"]].concat(), input);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    serde_json::from_slice(&out.stdout).expect("a JSON document")
}

fn refusal(arguments: &[&str], input: &str) -> String {
    let out = heapwatch(arguments, input);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(out.stdout.is_empty(), "nothing half-written");
    String::from_utf8(out.stderr).expect("text")
}

/// Quarters of an hour with a daily swing, a little scatter, and one spike.
fn rows(from: u64, to: u64) -> String {
    let value = |i: u64| {
        let swing = (i as f64 / 96.0 * std::f64::consts::TAU).sin();
        if i == 900 { 900e6 } else { (300e6 + 30e6 * swing).round() + (i * 7919 % 1000) as f64 * 500.0 }
    };
    (from..to).map(|i| format!("{},{}\n", 1_700_000_000 + 900 * i, value(i))).collect()
}

fn series(from: u64, to: u64) -> String {
    "timestamp,value\n".to_owned() + &rows(from, to)
}

/// A folder for a state that is gone at the end of the test, and the state's path.
fn scratch() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.json").display().to_string();
    (folder, state)
}

#[test]
fn a_spike_is_named_in_every_format() {
    let v = answered(&[], &series(0, 1000));
    assert_eq!((&v["schema"], &v["input"]["rows"]), (&"heapwatch.anomaly/1".into(), &1000.into()));
    assert_eq!(v["points"].as_array().map(Vec::len), Some(1000));
    let spike = &v["points"][900];
    assert_eq!(
        (&spike["anomaly"], &spike["value"], &spike["timestamp"]),
        (&true.into(), &900e6.into(), &"2023-11-24T07:13:20Z".into())
    );
    let found = v["anomalies"].as_array().expect("a list");
    assert_eq!((found.len(), &found[0]["kind"], &found[0]["peak_value"]), (1, &"spike".into(), &900e6.into()));
    assert!((v["seasonality"][0]["period_s"].as_f64().expect("a day") / 86_400.0 - 1.0).abs() < 0.02);
    let text =
        |format: &str| String::from_utf8(heapwatch(&["--format", format], &series(0, 1000)).stdout).expect("text");
    let csv = text("csv");
    assert_eq!((csv.lines().count(), csv.lines().all(|l| l.split(',').count() == 10)), (1001, true));
    assert!(
        csv.contains("\n1700810000,2023-11-24T07:13:20Z,900000000,"),
        "{}",
        csv.lines().nth(901).unwrap_or_default()
    );
    assert!(text("text").contains(" spike from 2023-11-24T07:13:20Z to "), "{}", text("text"));
}

#[test]
fn exit_status_follows_fail_on() {
    let status = |severity: &str, rows: u64| heapwatch(&["--fail-on", severity], &series(0, rows)).status.code();
    assert_eq!((status("low", 1000), status("low", 900), status("whatever", 900)), (Some(1), Some(0), Some(2)));
}

#[test]
fn a_run_that_is_continued_says_what_one_run_would_have() {
    let (_folder, state) = scratch();
    let whole = answered(&[], &series(0, 1000));
    let halves =
        [(0, 873), (873, 901), (901, 1000)].map(|(from, to)| answered(&["--state", &state], &series(from, to)));
    let points: Vec<&Value> = halves.iter().flat_map(|h| h["points"].as_array().expect("points")).collect();
    assert_eq!(points, whole["points"].as_array().expect("points").iter().collect::<Vec<_>>());
    assert_eq!((&halves[2]["anomalies"], &halves[2]["seasonality"]), (&whole["anomalies"], &whole["seasonality"]));
}

#[test]
fn a_damaged_state_is_refused_and_left_alone() {
    let (_folder, state) = scratch();
    answered(&["--state", &state], &series(0, 400));
    let mut edited: Value = serde_json::from_slice(&std::fs::read(&state).expect("saved")).expect("JSON");
    edited["model"]["seasons"]["slots"]["width_s"] = 0.into();
    for text in [edited.to_string(), "{\"rows\":".to_owned(), String::new()] {
        std::fs::write(&state, &text).expect("written");
        let said = refusal(&["--state", &state], &series(400, 500));
        assert!(said.contains(&state), "{said}");
        assert_eq!(std::fs::read_to_string(&state).expect("there"), text);
    }
}

#[test]
fn an_input_that_fails_leaves_the_state_as_it_was() {
    let (_folder, state) = scratch();
    answered(&["--state", &state], &series(0, 200));
    let before = std::fs::read(&state).expect("saved");
    let said = refusal(&["--state", &state], &(series(200, 300) + "1700270000,many\n"));
    assert!(said.contains("line 102: `many` in column `value`"), "{said}");
    assert_eq!(std::fs::read(&state).expect("there"), before);
}

#[test]
fn rows_that_cannot_be_used_are_answered_and_counted() {
    let odd = "1700450000,NaN\n1700450900,inf\n1700451800,\n1700449100,3e8\nNaN,3e8\n";
    let v = answered(&[], &(series(0, 500) + odd));
    let points = v["points"].as_array().expect("points");
    assert_eq!(
        (points.len(), &v["input"]["not_finite"], &v["input"]["time_not_after_previous"]),
        (505, &4.into(), &1.into())
    );
    for (i, treatment) in
        [(500, "not_finite"), (501, "not_finite"), (502, "not_finite"), (503, "time_not_after_previous")]
    {
        assert_eq!(points[i]["treatment"], treatment, "{}", points[i]);
    }
    assert_eq!(
        (&points[500]["value"], &points[500]["score"], &points[504]["timestamp"]),
        (&Value::Null, &0.0.into(), &Value::Null)
    );
}

#[test]
fn thin_input_is_an_answer_that_says_what_is_missing() {
    for (input, rows) in [("timestamp,value\n", 0), ("timestamp,value\n1,2", 1), ("timestamp,value\n1,2\n2,2\n", 2)] {
        let v = answered(&[], input);
        assert_eq!((v["points"].as_array().map(Vec::len), &v["input"]["rows"]), (Some(rows), &rows.into()));
        assert_eq!((&v["anomalies"], &v["seasonality"]), (&Value::Array(vec![]), &Value::Array(vec![])));
        assert!(v["note"].as_str().is_some_and(|n| n.contains("not enough rows")), "{v}");
    }
}

#[test]
fn a_constant_series_is_quiet() {
    let constant: String = (0..2000).map(|i| format!("{},5\n", 1_700_000_000 + 60 * i)).collect();
    let v = answered(&["--fail-on", "low"], &("timestamp,value\n".to_owned() + &constant));
    assert!(v["points"].as_array().is_some_and(|p| p.iter().all(|p| p["anomaly"] == false)), "{}", v["anomalies"]);
}

#[test]
fn an_input_cut_off_in_a_row_prints_nothing() {
    let said = refusal(&[], &(series(0, 300) + "17002"));
    assert!(
        said.contains("standard input: line 302: 1 fields where the header has 2; the input may be cut off here"),
        "{said}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_the_state_is_saved() {
    let (_folder, state) = scratch();
    let mut child = started(&["--state", &state, "--format", "json"]);
    let mut pipe = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || pipe.write_all(series(0, 60_000).as_bytes()));
    let mut first = String::new();
    let mut out = BufReader::with_capacity(64, child.stdout.take().expect("piped"));
    out.read_line(&mut first).expect("a line");
    drop(out);
    let status = child.wait().expect("the program ends");
    assert!(writer.join().expect("joined").is_ok(), "all rows are read");
    assert_eq!((status.code(), first.contains("heapwatch.anomaly/1")), (Some(0), true));
    let saved: Value = serde_json::from_slice(&std::fs::read(&state).expect("saved")).expect("JSON");
    assert_eq!(saved["rows"], 60_000);
}
