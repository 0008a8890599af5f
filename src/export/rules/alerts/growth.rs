//! Growth of resident memory, for what no call site explains and for services whose findings nobody reads.
//!
//! A difference over a window also sees a step that is long over. So the alerts over an hour ask besides that the last third of
//! the window still grows at half of the pace.

use super::{Action, Alert, HOUR_S, MINUTE_S};
use crate::analyze::severity::Severity;
use crate::export::rules::expression::{bytes, settled};
use crate::export::rules::limits::Limits;
use crate::export::rules::recording::SMOOTH_RSS;
use crate::export::subject::Subject;

pub fn alerts(subject: &Subject, limits: &Limits) -> Vec<Alert> {
    let kinds = [leak_detected, rapid, monotonic, anomalous, spike, non_heap];
    kinds.iter().map(|kind| kind(subject, limits)).collect()
}

fn still_growing(subject: &Subject, bytes_per_hour: u64) -> String {
    let s = subject.selector("");
    format!("and deriv(memory_rss_bytes{s}[20m]) * 3600 > {} / 2", bytes(bytes_per_hour))
}

fn leak_detected(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector("");
    let grown = format!("memory_rss_bytes{s} - memory_rss_bytes{s} offset 1h > {}", bytes(limits.hourly_bytes));
    let still = still_growing(subject, limits.hourly_bytes);
    Alert {
        name: "MemoryLeakDetected",
        severity: Severity::Critical,
        expr: format!("{grown}\n{still}\n{}", settled(subject, limits.warm_up_s, HOUR_S)),
        hold_s: 10 * MINUTE_S,
        summary: "{{ $labels.instance }} grows like a leak".into(),
        description: "The resident set grew by {{ $value | humanize1024 }}B within an hour and still grows.".into(),
        action: Action::Page,
    }
}

fn rapid(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector("");
    let grows = format!("deriv(memory_rss_bytes{s}[10m]) * 60 > {}", bytes(limits.rapid_bytes_per_minute));
    Alert {
        name: "RapidMemoryGrowth",
        severity: Severity::High,
        expr: format!("{grows}\n{}", settled(subject, limits.warm_up_s, 10 * MINUTE_S)),
        hold_s: 10 * MINUTE_S,
        summary: "{{ $labels.instance }} grows rapidly".into(),
        description: "The resident set grows by {{ $value | humanize1024 }}B a minute.".into(),
        action: Action::Page,
    }
}

/// `resets` counts the falls of a series. It is asked of the smoothed one: noise alone makes a raw gauge fall.
fn monotonic(subject: &Subject, limits: &Limits) -> Alert {
    const WINDOW_S: u64 = 30 * MINUTE_S;
    let s = subject.selector("");
    let grown = format!("{SMOOTH_RSS}{s} - {SMOOTH_RSS}{s} offset 30m > {}", bytes(limits.monotonic_bytes));
    let no_fall = format!("and resets({SMOOTH_RSS}{s}[30m]) == 0");
    Alert {
        name: "MonotonicMemoryGrowth",
        severity: Severity::High,
        // 5 minutes more, as the smoothed series looks back so far.
        expr: format!("{grown}\n{no_fall}\n{}", settled(subject, limits.warm_up_s + 5 * MINUTE_S, WINDOW_S)),
        hold_s: 5 * MINUTE_S,
        summary: "{{ $labels.instance }} has grown for 30 minutes without a fall".into(),
        description: "The resident set grew by {{ $value | humanize1024 }}B in 30 minutes and never fell.".into(),
        action: Action::Page,
    }
}

fn anomalous(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector("");
    let a_minute = limits.slow_bytes_per_minute;
    let grown = format!("(memory_rss_bytes{s} - memory_rss_bytes{s} offset 1h) / 60 > {}", bytes(a_minute));
    let still = still_growing(subject, a_minute * 60);
    Alert {
        name: "AnomalousMemoryPattern",
        severity: Severity::Medium,
        expr: format!("{grown}\n{still}\n{}", settled(subject, limits.warm_up_s, HOUR_S)),
        hold_s: 30 * MINUTE_S,
        summary: "{{ $labels.instance }} keeps growing".into(),
        description: "Over an hour the resident set grew by {{ $value | humanize1024 }}B a minute.".into(),
        action: Action::Investigate,
    }
}

fn spike(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector("");
    let risen = format!("memory_rss_bytes{s} - memory_rss_bytes{s} offset 5m > {}", bytes(limits.spike_bytes));
    Alert {
        name: "MemorySpike",
        severity: Severity::Medium,
        expr: format!("{risen}\n{}", settled(subject, limits.warm_up_s, 5 * MINUTE_S)),
        hold_s: MINUTE_S,
        summary: "{{ $labels.instance }} jumped".into(),
        description: "The resident set rose by {{ $value | humanize1024 }}B within 5 minutes.".into(),
        action: Action::Investigate,
    }
}

/// Mapped files are left out: the kernel takes them back when it needs the memory.
fn non_heap(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector(r#"term!~"live_heap|mapped_files""#);
    let grows = format!("sum without (term) (deriv(memory_ledger_bytes{s}[1h])) * 3600");
    let over = bytes(limits.non_heap_bytes_per_hour);
    Alert {
        name: "NonHeapMemoryGrowth",
        severity: Severity::Medium,
        expr: format!("{grows} > {over}\n{}", settled(subject, limits.warm_up_s, HOUR_S)),
        hold_s: 30 * MINUTE_S,
        summary: "{{ $labels.instance }} grows outside the live heap".into(),
        description: "Memory that no live allocation explains grows by {{ $value | humanize1024 }}B an hour.".into(),
        action: Action::Investigate,
    }
}
