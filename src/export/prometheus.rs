//! The metrics of a snapshot as Prometheus text.

use crate::analyze::heap::Verdict;
use crate::snapshot::Snapshot;

/// All metrics.
pub fn render(snapshot: &Snapshot, _verdict: &Verdict, _classic_names: bool, _openmetrics: bool) -> String {
    format!("memory_heap_bytes {}\n", snapshot.totals.live_bytes())
}
