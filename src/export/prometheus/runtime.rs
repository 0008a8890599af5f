//! Latency of the allocator, pauses of an embedded collected runtime, anomalies.

use super::family::Family;
use super::leak_counts::SEVERITIES;
use crate::snapshot::{PauseHistogram, Snapshot};

/// Anomalies of the process so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AnomalyCounts {
    /// How unusual the process is now, 0–1.
    pub score: f64,
    /// Anomalies since the start: low, medium, high, critical.
    pub by_severity: [u64; 4],
}

pub fn families(snapshot: &Snapshot, pauses: &[PauseHistogram], anomalies: Option<&AnomalyCounts>) -> Vec<Family> {
    let help = "Time of calls into the wrapped allocator, of the sampled ones.";
    let mut latency = Family::histogram("allocator_latency_seconds", help);
    for of in &snapshot.allocator_latency {
        latency.add_histogram(vec![("call", of.call.to_owned())], of.histogram.clone());
    }
    let mut families = vec![latency];
    families.extend(collections(pauses));
    families.extend(anomalies.into_iter().flat_map(anomaly));
    families
}

fn collections(pauses: &[PauseHistogram]) -> [Family; 2] {
    let mut duration = Family::histogram("gc_duration_seconds", "Time of collections of an embedded runtime.");
    let mut count = Family::counter("gc_collections_total", "Collections of an embedded runtime.");
    for of in pauses {
        let labels = vec![("generation", of.generation.to_owned())];
        duration.add_histogram(labels.clone(), of.histogram.clone());
        count.add_number(labels, of.histogram.count as f64);
    }
    [duration, count]
}

fn anomaly(anomalies: &AnomalyCounts) -> [Family; 2] {
    let counts = SEVERITIES.iter().map(|s| s.name()).zip(anomalies.by_severity.map(|n| n as f64));
    [
        Family::gauge("memory_anomaly_score", "How unusual the memory of the process is now, 0 to 1.")
            .of(Some(anomalies.score)),
        Family::counter("memory_anomalies_total", "Anomalies of the process that have ended, so far.")
            .by("severity", counts),
    ]
}
