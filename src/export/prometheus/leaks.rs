//! Leaks now, leaks so far, and where the growth leads to.

use super::family::{Family, Labels};
use super::labels::{OTHER, or_none};
use super::leak_counts::{LeakCounts, SEVERITIES};
use super::live::site_id;
use crate::analyze::heap::{SiteFinding, Verdict};
use crate::snapshot::Snapshot;

/// Leaks that have series of their own, fastest first.
const LEAKS: usize = 30;

pub fn families(snapshot: &Snapshot, verdict: &Verdict, counts: &LeakCounts) -> Vec<Family> {
    let help = "Distinct call sites that were ever found to leak, by their severity then.";
    let detected = Family::counter("memory_leaks_detected_total", help).by("severity", counts.detected());
    let help = "Sizes that leaks have reached; a leak counts once in each bucket that it grows into.";
    let mut sizes = Family::histogram("memory_leak_size_bytes", help);
    counts.sizes().for_each(|(labels, h)| sizes.add_histogram(labels, h));
    let help = "Allocations at leaking call sites, estimated from samples.";
    let mut allocations = Family::counter("memory_leak_allocations_total", help);
    counts.allocations().for_each(|(labels, n)| allocations.add_number(labels, n));
    vec![trend(verdict), exhaustion(snapshot, verdict), leaks(verdict), detected, growth(verdict), sizes, allocations]
}

fn trend(verdict: &Verdict) -> Family {
    let help = "Growth of the heap that leaks account for, with the ends of its 95 % interval; 0 without a leak.";
    let bounds = ["expected", "lower", "upper"].into_iter().zip(verdict.rate_bytes_per_hour);
    Family::gauge("memory_growth_bytes_per_hour", help).by("bound", bounds)
}

/// `lower` is the earliest time, `upper` the latest.
fn exhaustion(snapshot: &Snapshot, verdict: &Verdict) -> Family {
    let help = "Seconds until the memory limit is reached at the present growth; +Inf is never.";
    let in_s = |at_s: Option<f64>| at_s.map_or(f64::INFINITY, |at| (at - snapshot.taken_at_s).max(0.0));
    let of = verdict.exhaustion;
    let bounds = [
        ("expected", in_s(of.map(|e| e.at_s))),
        ("lower", in_s(of.map(|e| e.earliest_s))),
        ("upper", in_s(of.and_then(|e| e.latest_s))),
    ];
    Family::gauge("memory_exhaustion_seconds", help).by("bound", bounds)
}

/// All severities are there, at 0 too, so that an alert has a series to look at before the first leak.
fn leaks(verdict: &Verdict) -> Family {
    let help = "Call sites that leak now (detected), or grow without being called a leak (suspected).";
    let mut family = Family::gauge("memory_leaks", help);
    for (status, findings) in [("detected", &verdict.leaks), ("suspected", &verdict.suspects)] {
        for severity in SEVERITIES {
            let labels = vec![("severity", severity.name().to_owned()), ("status", status.to_owned())];
            let count = findings.iter().filter(|f| f.severity == severity).count();
            family.add_number(labels, count as f64);
        }
    }
    family
}

fn growth(verdict: &Verdict) -> Family {
    let mut family = Family::gauge("memory_leak_growth_bytes_per_hour", "Growth of each leaking call site.");
    for (rank, leak) in verdict.leaks.iter().enumerate() {
        let labels = if rank < LEAKS { of_leak(leak) } else { beyond() };
        family.add_number(labels, leak.rate_bytes_per_hour[0]);
    }
    family
}

fn of_leak(leak: &SiteFinding) -> Labels {
    vec![("site", site_id(&leak.site)), ("component", or_none(leak.site.scope.component.as_deref()))]
}

fn beyond() -> Labels {
    vec![("site", OTHER.to_owned()), ("component", OTHER.to_owned())]
}
