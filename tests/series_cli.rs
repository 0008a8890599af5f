//! The series verbs as a shell sees them: sources, formats, refusals and exit status.
#![cfg(feature = "cli")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn heapwatch(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_heapwatch"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("piped");
    // A child that refuses its arguments closes the pipe before it is written.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    child.wait_with_output().expect("the binary ends")
}

fn step() -> String {
    let rows =
        (0..200).map(|i| format!("{},{}\n", 1_700_000_000 + 60 * i, if i < 90 { 5 + i % 2 } else { 50 + i % 2 }));
    "timestamp,value\n".chars().chain(rows.collect::<String>().chars()).collect()
}

fn refusal(arguments: &[&str], input: &str) -> String {
    let out = heapwatch(arguments, input);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(out.stdout.is_empty(), "nothing half-written: {out:?}");
    String::from_utf8(out.stderr).expect("text")
}

#[test]
fn json_is_the_default_in_a_pipe_and_states_the_input() {
    let out = heapwatch(&["changepoint", "--input", "-"], &step());
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let document: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(document["schema"], "heapwatch.changepoint/1");
    assert_eq!(document["input"]["rows"], 200);
    assert_eq!(document["insufficient_data"], serde_json::Value::Null);
    let changes = document["changepoints"].as_array().expect("a list");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((&changes[0]["at"], &changes[0]["kind"]), (&"2023-11-14T23:43:20Z".into(), &"level".into()));
    assert_eq!(changes[0]["at_s"], 1_700_005_400.0);
}

#[test]
fn csv_and_text_say_the_same() {
    let csv = heapwatch(&["changepoint", "--input", "-", "--format", "csv"], &step());
    let csv = String::from_utf8(csv.stdout).expect("text");
    assert!(csv.lines().nth(1).is_some_and(|l| l.starts_with("2023-11-14T23:43:20Z,1700005400,90,level,")), "{csv}");
    let text = heapwatch(&["changepoint", "--input", "-", "--format", "text"], &step());
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.starts_with("200 rows\n2023-11-14T23:43:20Z  level"), "{text}");
}

#[test]
fn too_few_rows_are_answered_not_refused() {
    for rows in ["timestamp,value\n", "timestamp,value\n1,2\n"] {
        let out = heapwatch(&["changepoint", "--input", "-"], rows);
        let document: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!(out.status.code(), Some(0));
        assert!(document["insufficient_data"].as_str().is_some_and(|s| s.contains("need at least 20")), "{document}");
    }
}

#[test]
fn refusals_name_the_input_the_line_and_the_cause() {
    let stdin = ["changepoint", "--input", "-"];
    assert_eq!(
        refusal(&stdin, "timestamp,value\n1,2\n2"),
        "heapwatch: standard input: line 3: 1 fields where the header has 2; the input may be cut off here\n"
    );
    assert!(refusal(&stdin, "timestamp,value\n1,x\n").contains("standard input: line 2: `x` in column `value`"));
    assert!(refusal(&["changepoint", "--input", "no-such-file.csv"], "").contains("cannot read no-such-file.csv"));
    assert!(refusal(&["changepoint"], "").contains("--input"));
}

fn leaking() -> String {
    let rows = (0..240).map(|i| {
        let day = (f64::from(i) / 24.0 * std::f64::consts::TAU).sin();
        format!("{},{:.0}\n", 1_700_000_000 + 3600 * i, 300e6 + 1e6 * f64::from(i) + 10e6 * day)
    });
    "timestamp,value\n".to_owned() + &rows.collect::<String>()
}

#[test]
fn a_forecast_has_every_field_of_its_contract() {
    let arguments = ["forecast", "--input", "-", "--horizon", "12", "--level", "0.8", "--limit", "700MB", "--backtest"];
    let scenarios = ["--what-if", "growth=-50%", "load=2x,limit=2GB"];
    let out = heapwatch(&[&arguments[..], &scenarios[..]].concat(), &leaking());
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let document: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(document["schema"], "heapwatch.forecast/1");
    assert_eq!(document["model"]["level"], 0.8);
    let points = document["forecast"].as_array().expect("points");
    assert_eq!((points.len(), &points[0]["timestamp_s"]), (12, &1_700_864_000.0.into()));
    assert!(["mean", "lower", "upper"].iter().all(|k| points.iter().all(|p| p[k].is_f64())));
    for key in ["at", "earliest", "latest"] {
        assert!(
            document["exhaustion"][key].is_string() && document["exhaustion"][format!("{key}_s")].is_f64(),
            "{document}"
        );
    }
    let hours = |e: &serde_json::Value| (e["at_s"].as_f64().expect("dated") - 1_700_860_400.0) / 3600.0;
    let (base, slower) = (hours(&document["exhaustion"]), hours(&document["scenarios"][0]["exhaustion"]));
    assert!((140.0..165.0).contains(&base) && slower > 1.7 * base, "{base} {slower}");
    assert_eq!(document["scenarios"][1]["situation"]["limit_bytes"], 2e9);
    assert!(document["backtest"]["origins"].as_array().is_some_and(|o| o.len() > 3));
}

#[test]
fn a_forecast_as_csv_and_text() {
    let csv = heapwatch(&["forecast", "--input", "-", "--horizon", "3", "--format", "csv"], &leaking());
    let csv = String::from_utf8(csv.stdout).expect("text");
    assert_eq!(csv.lines().map(|l| l.split(',').count()).collect::<Vec<_>>(), vec![4; 4], "{csv}");
    let text = heapwatch(&["forecast", "--input", "-", "--horizon", "3", "--format", "text"], &leaking());
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.contains("exhaustion: none foreseeable") && text.lines().count() >= 5, "{text}");
}

#[test]
fn a_forecast_refuses_what_it_cannot_do() {
    assert!(refusal(&["forecast", "--input", "-"], "timestamp,value\n1,2\n").contains("at least 2 rows"));
    assert!(refusal(&["forecast", "--input", "-", "--horizon", "0"], &leaking()).contains("horizon"));
    assert!(refusal(&["forecast", "--input", "-", "--what-if", "speed=2x"], &leaking()).contains("speed=2x"));
    assert!(refusal(&["forecast", "--input", "-", "--what-if", "replicas=3"], &leaking()).contains("--replicas"));
}
