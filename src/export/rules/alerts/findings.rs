//! What the process has found out about itself: leaking call sites, anomalies.

use super::{Action, Alert, MINUTE_S};
use crate::analyze::severity::Severity;
use crate::export::rules::expression::settled;
use crate::export::rules::limits::Limits;
use crate::export::subject::Subject;

pub fn alerts(subject: &Subject, limits: &Limits) -> Vec<Alert> {
    vec![
        leak(subject, "CriticalMemoryLeak", Severity::Critical, 10 * MINUTE_S, Action::Page),
        leak(subject, "HighMemoryLeak", Severity::High, 15 * MINUTE_S, Action::Page),
        leak(subject, "MediumMemoryLeak", Severity::Medium, 30 * MINUTE_S, Action::Investigate),
        anomaly(subject, limits),
    ]
}

/// No gate on warm-up: the process judges with its own history, and a verdict that does not last is held back by `for`.
fn leak(subject: &Subject, name: &'static str, severity: Severity, hold_s: u64, action: Action) -> Alert {
    let word = severity.name();
    let s = subject.selector(&format!("severity=\"{word}\",status=\"detected\""));
    Alert {
        name,
        severity,
        expr: format!("sum without (severity, status) (memory_leaks{s}) > 0"),
        hold_s,
        summary: format!("{{{{ $labels.instance }}}} leaks memory ({word})"),
        description: format!("{{{{ $value }}}} call sites leak at severity {word}; the leak report has their stacks."),
        action,
    }
}

fn anomaly(subject: &Subject, limits: &Limits) -> Alert {
    const WINDOW_S: u64 = 30 * MINUTE_S;
    let s = subject.selector(r#"severity=~"high|critical""#);
    let found = format!("sum without (severity) (increase(memory_anomalies_total{s}[30m])) > 0");
    Alert {
        name: "MemoryAnomaly",
        severity: Severity::Medium,
        expr: format!("{found}\n{}", settled(subject, limits.warm_up_s, WINDOW_S)),
        hold_s: MINUTE_S,
        summary: "{{ $labels.instance }} uses memory as it never did before".into(),
        description: "Within 30 minutes {{ $value | humanize }} severe anomalies were found.".into(),
        action: Action::Investigate,
    }
}
