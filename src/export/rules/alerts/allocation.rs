//! How the service allocates: by request, in an embedded collector, in the allocator itself.

use super::{Action, Alert, HOUR_S, MINUTE_S};
use crate::analyze::severity::Severity;
use crate::export::rules::expression::{bytes, settled};
use crate::export::rules::limits::Limits;
use crate::export::subject::Subject;

pub fn alerts(subject: &Subject, limits: &Limits) -> Vec<Alert> {
    let kinds = [endpoint, retained, collector, allocator, efficiency];
    kinds.iter().map(|kind| kind(subject, limits)).collect()
}

fn endpoint(subject: &Subject, limits: &Limits) -> Alert {
    let s = subject.selector("");
    let p95 = format!("histogram_quantile(0.95, rate(endpoint_memory_delta_bytes_bucket{s}[5m]))");
    let enough = format!("and increase(endpoint_memory_delta_bytes_count{s}[5m]) >= {}", limits.least_requests);
    Alert {
        name: "HighMemoryEndpoint",
        severity: Severity::Medium,
        expr: format!("{p95} > {}\n{enough}", bytes(limits.request_bytes)),
        hold_s: 5 * MINUTE_S,
        summary: "{{ $labels.method }} {{ $labels.endpoint }} leaves much memory behind".into(),
        description: "One request in 20 leaves more than {{ $value | humanize1024 }}B behind.".into(),
        action: Action::Investigate,
    }
}

fn retained(subject: &Subject, limits: &Limits) -> Alert {
    const WINDOW_S: u64 = 30 * MINUTE_S;
    let grows = format!("deriv(endpoint_memory_retained_bytes{}[30m]) * 3600", subject.selector(""));
    let over = bytes(limits.retained_bytes_per_hour);
    Alert {
        name: "EndpointRetainsMemory",
        severity: Severity::Medium,
        expr: format!("{grows} > {over}\n{}", settled(subject, limits.warm_up_s, WINDOW_S)),
        hold_s: 30 * MINUTE_S,
        summary: "{{ $labels.method }} {{ $labels.endpoint }} keeps memory of finished requests".into(),
        description: "What its requests left alive grows by {{ $value | humanize1024 }}B an hour.".into(),
        action: Action::Investigate,
    }
}

fn collector(subject: &Subject, limits: &Limits) -> Alert {
    let p95 = format!("histogram_quantile(0.95, rate(gc_duration_seconds_bucket{}[5m]))", subject.selector(""));
    Alert {
        name: "GCSlowdown",
        severity: Severity::Medium,
        expr: format!("{p95} > {}", limits.gc_pause_s),
        hold_s: 5 * MINUTE_S,
        summary: "Garbage collection of {{ $labels.instance }} is slow".into(),
        description: "One collection in 20 takes longer than {{ $value | humanizeDuration }}.".into(),
        action: Action::Investigate,
    }
}

fn allocator(subject: &Subject, limits: &Limits) -> Alert {
    let p99 = format!("histogram_quantile(0.99, rate(allocator_latency_seconds_bucket{}[5m]))", subject.selector(""));
    Alert {
        name: "AllocatorSlowdown",
        severity: Severity::Medium,
        expr: format!("{p99} > {}", limits.allocator_call_s),
        hold_s: 10 * MINUTE_S,
        summary: "The allocator of {{ $labels.instance }} is slow".into(),
        description: "One sampled `{{ $labels.call }}` in 100 takes longer than {{ $value | humanizeDuration }}."
            .into(),
        action: Action::Investigate,
    }
}

fn efficiency(subject: &Subject, limits: &Limits) -> Alert {
    let low = format!("memory_allocation_efficiency_score{} < {}", subject.selector(""), limits.efficiency);
    Alert {
        name: "LowAllocationEfficiency",
        severity: Severity::Low,
        expr: format!("{low}\n{}", settled(subject, limits.warm_up_s, 0)),
        hold_s: HOUR_S,
        summary: "{{ $labels.component }} allocates inefficiently".into(),
        description: "The efficiency score is {{ $value | humanize }} of 1.".into(),
        action: Action::Investigate,
    }
}
