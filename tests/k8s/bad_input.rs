//! CSV files that are not what they should be.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::usage::MIB;
use crate::{heapwatch, json, stderr};

const HEAD: &str = "timestamp,namespace,workload,pod,container,usage_bytes,request_bytes,limit_bytes,oom_kills";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn run(text: &str) -> std::process::Output {
    let file = file(text);
    heapwatch(&["k8s", "--input", &file.path().display().to_string()])
}

/// Three days, a row every five minutes, with `usage(i)` as text.
fn rows(usage: impl Fn(u64) -> String) -> String {
    let row = |i: u64| format!("{},shop,web,web-0,app,{},2Gi,2Gi,0\n", 1_767_225_600 + i * 300, usage(i));
    format!("{HEAD}\n{}", (0..864).map(row).collect::<String>())
}

#[test]
fn unreadable_files_are_refused_with_their_line() {
    for (text, want) in [
        ("", "no column `timestamp`"),
        ("a,b\n1,2\n", "no column `timestamp` in header `a,b`"),
        (&format!("{HEAD}\n1,shop,web,web-0,app,lots,,,\n"), "line 2: `lots` is neither bytes nor a quantity"),
        (&format!("{HEAD}\n1,shop,web,web-0,app,1,,,\n2,shop\n"), "line: 3"),
        (&format!("{HEAD}\nyesterday,shop,web,web-0,app,1,,,\n"), "line 2: `yesterday`"),
    ] {
        let out = run(text);
        assert_eq!(out.status.code(), Some(2), "{want}");
        assert!(stderr(&out).contains(want) && out.stdout.is_empty(), "{want}: {}", stderr(&out));
    }
    let out = heapwatch(&["k8s", "--input", "/nowhere/usage.csv"]);
    assert!(out.status.code() == Some(2) && stderr(&out).contains("cannot read /nowhere/usage.csv"));
    assert_eq!(heapwatch(&["k8s"]).status.code(), Some(2), "a source must be given");
}

#[test]
fn values_that_cannot_be_are_left_out_and_counted() {
    let steady = 1000 * 1_048_576;
    let out = json(&run(&rows(|i| match i {
        10 => "NaN".into(),
        20 => "-5".into(),
        30 => "1e30".into(),
        40..=100 => String::new(),
        _ => steady.to_string(),
    })));
    let r = &out["recommendations"][0];
    let rejected = &r["seen"]["rejected"];
    assert_eq!(
        (&rejected["not_finite"], &rejected["negative"], &rejected["absurd"]),
        (&62.into(), &1.into(), &1.into())
    );
    assert_eq!(r["seen"]["peak_bytes"], steady);
    assert!(r["missing"].to_string().contains("1 samples left out: absurdly large"), "{r}");
    let target = r["target"]["limit_bytes"].as_f64().unwrap();
    assert!(target < 1200.0 * MIB, "one absurd value moves nothing: {target}");
}

#[test]
fn mixed_units_are_said_and_not_sized() {
    let out = json(&run(&rows(|i| if i % 2 == 0 { "1048576000".into() } else { "1000".into() })));
    let r = &out["recommendations"][0];
    assert_eq!(r["status"], "insufficient_data");
    assert!(r["missing"].to_string().contains("mixed units"), "{r}");
    let quantities = json(&run(&rows(|i| if i % 2 == 0 { "1000Mi".into() } else { "1048576000".into() })));
    assert_eq!(quantities["recommendations"][0]["seen"]["peak_bytes"], 1_048_576_000);
}

#[test]
fn duplicates_and_vanished_containers_are_stated() {
    let text = rows(|_| "1000Mi".into());
    let doubled: String = text.lines().flat_map(|l| [l, "\n", if l.starts_with('1') { l } else { "" }, "\n"]).collect();
    let r = json(&run(&doubled))["recommendations"][0].clone();
    assert_eq!((&r["seen"]["samples"], &r["seen"]["rejected"]["duplicate"]), (&864.into(), &864.into()));
    let later: String =
        (0..864).map(|i| format!("{},shop,other,o-0,app,1Gi,,,\n", 1_767_225_600 + 864_000 + i * 300)).collect();
    let both = json(&run(&(text + &later)));
    let web = &both["recommendations"][1];
    assert_eq!((&web["workload"], &web["status"]), (&"web".into(), &"insufficient_data".into()));
    assert!(web["missing"].to_string().contains("the workload is gone"), "{web}");
}

#[test]
fn oom_counters_that_begin_again_are_counted_right() {
    let kills = |i: u64| match i {
        0..100 => 3,
        100..200 => 5,
        200..300 => 1,
        _ => 2,
    };
    let row = |i: u64| format!("{},shop,web,web-0,app,1000Mi,2Gi,2Gi,{}\n", 1_767_225_600 + i * 300, kills(i));
    let out = json(&run(&format!("{HEAD}\n{}", (0..864).map(row).collect::<String>())));
    // 3 before the file began; then 2, a restart and 1, then 1.
    assert_eq!(out["recommendations"][0]["seen"]["oom_kills"], 4);
}

#[test]
fn a_cut_file_loses_its_last_line_and_says_so() {
    let text = rows(|i| if i == 863 { "9000Mi".into() } else { "1000Mi".into() });
    let out = json(&run(text.trim_end()));
    assert_eq!(out["recommendations"][0]["seen"]["peak_bytes"], 1_048_576_000);
    assert!(out["summary"]["notes"].to_string().contains("has no end and may be cut off"), "{}", out["summary"]);
}

#[test]
fn every_format_and_exit_status() {
    let file = file(&rows(|_| "1000Mi".into()));
    let input = file.path().display().to_string();
    let ask = |more: &[&str]| {
        let mut args = vec!["k8s", "--input", input.as_str()];
        args.extend(more);
        heapwatch(&args)
    };
    let csv = crate::stdout(&ask(&["--format", "csv"]));
    assert!(csv.starts_with("namespace,workload,container,status,") && csv.lines().count() == 2);
    let text = crate::stdout(&ask(&["--format", "text", "--price", "4"]));
    assert!(text.contains("shop/web/app") && text.contains("over_provisioned") && text.contains("a month"), "{text}");
    assert_eq!(ask(&["--fail-on", "over-provisioned"]).status.code(), Some(1));
    assert_eq!(ask(&["--fail-on", "leaking"]).status.code(), Some(0));
    assert_eq!(ask(&["--risk", "2"]).status.code(), Some(2));
    assert!(stderr(&ask(&["--risk", "2"])).contains("--risk between 0 and 1"));
}
