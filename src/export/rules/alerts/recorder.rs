//! Whether the figures behind the other alerts are there and to be trusted.

use super::{Action, Alert, MINUTE_S};
use crate::analyze::severity::Severity;
use crate::export::rules::limits::Limits;
use crate::export::rules::recording::LOST;
use crate::export::subject::Subject;

pub fn alerts(subject: &Subject, limits: &Limits) -> Vec<Alert> {
    let kinds = [missing, losing, truncated, costly];
    kinds.iter().map(|kind| kind(subject, limits)).collect()
}

/// A target that does not answer, one that answers without our metrics, or no target at all.
fn missing(subject: &Subject, _limits: &Limits) -> Alert {
    let (s, target) = (subject.selector(""), subject.target_selector());
    Alert {
        name: "MemoryMetricsMissing",
        severity: Severity::Medium,
        expr: format!(
            "up{target} == 0\nor (up{target} == 1 unless on (job, instance) memory_rss_bytes{s})\n\
             or (absent(memory_rss_bytes{s}) unless on (job) up{target})"
        ),
        hold_s: 10 * MINUTE_S,
        summary: format!("{} shows no memory metrics", subject.service),
        description: "{{ with $labels.instance }}{{ . }} gives{{ else }}There are{{ end }} no memory metrics, \
                      so no other alert on memory can fire."
            .into(),
        action: Action::Investigate,
    }
}

fn losing(subject: &Subject, limits: &Limits) -> Alert {
    let (s, lost) = (subject.selector(""), subject.selector(LOST));
    let lost = format!("sum without (cause) (rate(heapwatch_dropped_samples_total{lost}[15m]))");
    Alert {
        name: "HeapwatchLosesSamples",
        severity: Severity::Low,
        expr: format!("{lost} / rate(heapwatch_samples_total{s}[15m]) > {}", limits.dropped_ratio),
        hold_s: 15 * MINUTE_S,
        summary: "heapwatch in {{ $labels.instance }} loses samples".into(),
        description: "For every sample kept, {{ $value | humanize }} are lost; figures by site are less certain."
            .into(),
        action: Action::Investigate,
    }
}

fn truncated(subject: &Subject, limits: &Limits) -> Alert {
    Alert {
        name: "HeapwatchStacksTruncated",
        severity: Severity::Low,
        expr: format!("heapwatch_truncated_stacks_ratio{} > {}", subject.selector(""), limits.truncated_ratio),
        hold_s: 30 * MINUTE_S,
        summary: "heapwatch in {{ $labels.instance }} cannot walk all stacks".into(),
        description: "{{ $value | humanizePercentage }} of the stacks are cut; a finding may name the wrong frame."
            .into(),
        action: Action::Investigate,
    }
}

fn costly(subject: &Subject, limits: &Limits) -> Alert {
    let busy = format!("rate(heapwatch_cpu_seconds_total{}[15m])", subject.selector(""));
    Alert {
        name: "HeapwatchOverhead",
        severity: Severity::Low,
        expr: format!("{busy} > {}", limits.recorder_cores),
        hold_s: 30 * MINUTE_S,
        summary: "heapwatch in {{ $labels.instance }} costs too much".into(),
        description: "Its collector keeps {{ $value | humanizePercentage }} of a core busy.".into(),
        action: Action::Investigate,
    }
}
