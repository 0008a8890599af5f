//! Rules as promtool checks and evaluates them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{alert_names, cases, must, rule_file, tool};

/// A folder with the rule file in it.
fn folder() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    std::fs::write(dir.path().join("rules.yaml"), rule_file("yaml")).expect("written");
    dir
}

fn evaluate(tests: Vec<Value>) {
    let dir = folder();
    let document = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests });
    std::fs::write(dir.path().join("tests.yaml"), document.to_string()).expect("written");
    must("promtool", &["test", "rules", "tests.yaml"], dir.path());
}

#[test]
fn promtool_takes_the_rules() {
    let said = must("promtool", &["check", "rules", "rules.yaml"], folder().path());
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn every_alert_fires_when_it_must_and_only_then() {
    let cases = cases::all();
    for alert in alert_names() {
        let kinds: BTreeSet<bool> = cases.iter().filter(|c| c.alert == alert).map(|c| c.fires).collect();
        assert_eq!(kinds.len(), 2, "{alert} needs a case in which it fires and one in which it does not");
    }
    evaluate(cases::documents(&cases));
}

#[test]
fn a_deploy_that_fills_its_caches_alerts_nobody() {
    let silent = |minute: u32| json!({ "expr": r#"ALERTS{alertstate="firing"}"#, "eval_time": format!("{minute}m"), "exp_samples": [] });
    let whole: Vec<Value> = (5..=400).step_by(5).map(silent).collect();
    let input = cases::input(&cases::deploy_and_plateau());
    evaluate(vec![json!({ "interval": "1m", "input_series": input, "promql_expr_test": whole })]);
}

#[test]
fn annotations_say_what_where_and_how_much() {
    let labels = json!({
        "job": "checkout", "namespace": "shop", "instance": "a",
        "severity": "critical", "service": "checkout", "team": "payments",
    });
    let annotations = json!({
        "summary": "a is about to be killed for want of memory",
        "description": "95% of the memory limit is in use.",
        "action": "Take a heap profile, restart, page the on-call engineer",
        "runbook_url": "https://docs.rs/crate/heapwatch/latest/source/docs/RUNBOOK.md#criticalmemoryusage",
    });
    let alert = json!({ "exp_labels": labels, "exp_annotations": annotations });
    let input = cases::input(&[("memory_utilization_ratio", "0.95x30".into())]);
    let expected = json!({ "eval_time": "10m", "alertname": "CriticalMemoryUsage", "exp_alerts": [alert] });
    evaluate(vec![json!({ "interval": "1m", "input_series": input, "alert_rule_test": [expected] })]);
}

#[test]
fn a_test_that_should_fail_does() {
    let dir = folder();
    let wrong = cases::documents(&[cases::Case { fires: false, ..cases::all().remove(0) }]);
    let document = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": wrong });
    std::fs::write(dir.path().join("tests.yaml"), document.to_string()).expect("written");
    assert!(!tool("promtool", &["test", "rules", "tests.yaml"], dir.path()).0);
}
