//! How close the process is to its limit, now and soon.

use super::{Action, Alert, HOUR_S, MINUTE_S};
use crate::analyze::severity::Severity;
use crate::export::rules::expression::{bytes, settled};
use crate::export::rules::limits::Limits;
use crate::export::subject::Subject;

pub fn alerts(subject: &Subject, limits: &Limits) -> Vec<Alert> {
    let ceiling = limits.ceiling_bytes.map(|amount| ceiling(subject, amount));
    [usage(subject, limits)].into_iter().chain(ceiling).chain([soon(subject, limits), later(subject, limits)]).collect()
}

fn usage(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector("");
    Alert {
        name: "CriticalMemoryUsage",
        severity: Severity::Critical,
        expr: format!("memory_utilization_ratio{s} > {}", limits.usage_ratio),
        hold_s: 5 * MINUTE_S,
        summary: "{{ $labels.instance }} is about to be killed for want of memory".into(),
        description: "{{ $value | humanizePercentage }} of the memory limit is in use.".into(),
        action: Action::RestartOrPage,
    }
}

fn ceiling(subject: &Subject, amount: u64) -> Alert {
    let s = subject.selector("");
    Alert {
        name: "MemoryCeilingExceeded",
        severity: Severity::Critical,
        expr: format!("memory_rss_bytes{s} > {}", bytes(amount)),
        hold_s: 2 * MINUTE_S,
        summary: "{{ $labels.instance }} is above its memory ceiling".into(),
        description: "The resident set is {{ $value | humanize1024 }}B, more than this service was given.".into(),
        action: Action::RestartOrPage,
    }
}

/// A forecast alone fires after every deploy. It must be of a settled process, with much of its limit in use.
fn gates(subject: &Subject, limits: &Limits, window_s: u64) -> String {
    let in_use = format!("memory_utilization_ratio{} > {}", subject.selector(""), limits.forecast_usage_ratio);
    format!("and on (job, instance) {in_use}\n{}", settled(subject, limits.warm_up_s, window_s))
}

fn soon(subject: &Subject, limits: &Limits) -> Alert {
    let expected = subject.selector(r#"bound="expected""#);
    let gates = gates(subject, limits, 0);
    Alert {
        name: "MemoryExhaustionSoon",
        severity: Severity::High,
        expr: format!("memory_exhaustion_seconds{expected} < {}\n{gates}", limits.exhaustion_soon_s),
        hold_s: 15 * MINUTE_S,
        summary: "{{ $labels.instance }} reaches its memory limit within hours".into(),
        description: "At the present growth the limit is met in {{ $value | humanizeDuration }}.".into(),
        action: Action::Page,
    }
}

/// Days ahead only the whole interval counts: where its far end is never, growth is not yet told from noise.
fn later(subject: &Subject, limits: &Limits) -> Alert {
    const HISTORY_S: u64 = 6 * HOUR_S;
    let (expected, upper) = (subject.selector(r#"bound="expected""#), subject.selector(r#"bound="upper""#));
    let gates = gates(subject, limits, HISTORY_S);
    let ends = format!("and on (job, instance) memory_exhaustion_seconds{upper} < +Inf");
    Alert {
        name: "MemoryExhaustionPredicted",
        severity: Severity::Medium,
        expr: format!("memory_exhaustion_seconds{expected} < {}\n{ends}\n{gates}", limits.exhaustion_later_s),
        hold_s: HOUR_S,
        summary: "{{ $labels.instance }} reaches its memory limit within days".into(),
        description: "At the present growth the limit is met in {{ $value | humanizeDuration }}.".into(),
        action: Action::Investigate,
    }
}
