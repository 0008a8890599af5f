//! Growth of resident memory, for what no call site explains and for services whose findings nobody reads.
//!
//! A difference over a window also sees a step that is long over. So the alerts over an hour ask that its first two thirds and its
//! last third each grew at half of the pace at least: a step falls into one of them only.

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

/// Growth over an hour, in both of its parts.
fn steady(subject: &Subject, bytes_per_hour: u64) -> String {
    let rss = format!("memory_rss_bytes{}", subject.selector(""));
    let hour = bytes(bytes_per_hour);
    format!(
        "{rss} - {rss} offset 1h > {hour}\nand {rss} - {rss} offset 20m > {hour} / 6\n\
         and {rss} offset 20m - {rss} offset 1h > {hour} / 3"
    )
}

fn leak_detected(subject: &Subject, limits: &Limits) -> Alert {
    let grown = steady(subject, limits.hourly_bytes);
    Alert {
        name: "MemoryLeakDetected",
        severity: Severity::Critical,
        expr: format!("{grown}\n{}", settled(subject, limits.warm_up_s, HOUR_S)),
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

/// `resets` counts the falls of a series. It is asked of the smoothed one: noise alone makes a raw gauge fall. Smoothing spreads a
/// step over 5 minutes, so the alert must hold for longer than that.
fn monotonic(subject: &Subject, limits: &Limits) -> Alert {
    const WINDOW_S: u64 = 30 * MINUTE_S;
    let rss = format!("{SMOOTH_RSS}{}", subject.selector(""));
    let least = bytes(limits.monotonic_bytes);
    let grown = format!(
        "{rss} - {rss} offset 30m > {least}\nand {rss} - {rss} offset 10m > {least} / 6\n\
         and {rss} offset 10m - {rss} offset 30m > {least} / 3"
    );
    let no_fall = format!("and resets({rss}[30m]) == 0");
    Alert {
        name: "MonotonicMemoryGrowth",
        severity: Severity::High,
        // 5 minutes more, as the smoothed series looks back so far.
        expr: format!("{grown}\n{no_fall}\n{}", settled(subject, limits.warm_up_s + 5 * MINUTE_S, WINDOW_S)),
        hold_s: 10 * MINUTE_S,
        summary: "{{ $labels.instance }} has grown for 30 minutes without a fall".into(),
        description: "The resident set grew by {{ $value | humanize1024 }}B in 30 minutes and never fell.".into(),
        action: Action::Page,
    }
}

fn anomalous(subject: &Subject, limits: &Limits) -> Alert {
    let grown = steady(subject, limits.slow_bytes_per_minute * 60);
    Alert {
        name: "AnomalousMemoryPattern",
        severity: Severity::Medium,
        expr: format!("{grown}\n{}", settled(subject, limits.warm_up_s, HOUR_S)),
        hold_s: 30 * MINUTE_S,
        summary: "{{ $labels.instance }} keeps growing".into(),
        description: "Over an hour the resident set grew by {{ $value | humanize1024 }}B.".into(),
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
