//! The runbook has what every alert links to.

use crate::alert_names;

const RUNBOOK: &str = include_str!("../../docs/RUNBOOK.md");

#[test]
fn every_alert_has_a_section_with_meaning_commands_and_refutation() {
    let sections: Vec<(&str, &str)> = RUNBOOK
        .split("\n## ")
        .skip(1)
        .filter_map(|s| s.split_once('\n'))
        .filter(|(h, _)| *h != "Alert table")
        .collect();
    let headings: Vec<&str> = sections.iter().map(|(heading, _)| *heading).collect();
    assert_eq!(headings, alert_names(), "one section an alert, in the order of the rules");
    for (heading, body) in sections {
        assert!(body.contains("**What it means.** ") && body.contains("**What refutes it.** "), "{heading}");
        let commands = body.split("```").nth(1).map(|block| block.lines().skip(1).filter(|l| !l.is_empty()).count());
        assert_eq!(commands, Some(3), "{heading}");
    }
}

#[test]
fn the_table_has_the_duration_and_severity_of_the_rules() {
    let groups = crate::rule_groups();
    let rules = groups["groups"].as_array().into_iter().flatten().filter_map(|g| g["rules"].as_array()).flatten();
    for rule in rules.filter(|r| r["alert"].is_string()) {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let (name, hold, severity) = (text(&rule["alert"]), text(&rule["for"]), text(&rule["labels"]["severity"]));
        let row = RUNBOOK.lines().find(|l| l.starts_with(&format!("| {name} |"))).unwrap_or_else(|| panic!("{name}"));
        assert!(row.ends_with(&format!("| {hold} | {severity} |")), "{row}: {hold}, {severity}");
    }
}
