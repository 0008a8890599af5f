//! Collections of a garbage-collected runtime that the service embeds (a scripting engine, a virtual machine).
//!
//! The service says when one has ended; heapwatch exports how long and how many. A note is two additions, without a lock and
//! without an allocation, so it may stand in a collector's own hook. Generations are bounded: those from [`GENERATIONS`] on are
//! counted together as `other`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::snapshot::{PauseHistogram, ValueHistogram};

/// Generations that are told apart.
pub const GENERATIONS: usize = 8;

/// Labels of the generations, the last for all others.
const NAMES: [&str; GENERATIONS + 1] = ["0", "1", "2", "3", "4", "5", "6", "7", "other"];

/// Upper bounds of the buckets, milliseconds.
const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

#[derive(Debug)]
struct Pauses {
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_ns: AtomicU64,
}

static PAUSES: [Pauses; GENERATIONS + 1] = [const { Pauses::new() }; GENERATIONS + 1];

/// Notes a collection of `generation` (0 is the youngest) that took `duration`. Exported as `gc_duration_seconds` and
/// `gc_collections_total`.
///
/// ```
/// heapwatch::gc::record(0, std::time::Duration::from_millis(3));
/// ```
pub fn record(generation: u32, duration: Duration) {
    let generation = usize::try_from(generation).map_or(GENERATIONS, |g| g.min(GENERATIONS));
    if let Some(pauses) = PAUSES.get(generation) {
        pauses.add(duration);
    }
}

/// What was noted, of the generations that had a collection.
pub fn pauses() -> Vec<PauseHistogram> {
    let noted = NAMES.iter().zip(&PAUSES);
    noted.filter_map(|(generation, p)| Some(PauseHistogram { generation, histogram: p.read()? })).collect()
}

impl Pauses {
    const fn new() -> Pauses {
        Pauses { buckets: [const { AtomicU64::new(0) }; BOUNDS_MS.len() + 1], sum_ns: AtomicU64::new(0) }
    }

    fn add(&self, duration: Duration) {
        let bucket = BOUNDS_MS.partition_point(|ms| Duration::from_millis(*ms) < duration);
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Option<ValueHistogram> {
        let mut below = 0;
        let cumulative = self.buckets.iter().map(|b| {
            below += b.load(Ordering::Relaxed);
            below
        });
        let mut cumulative: Vec<u64> = cumulative.collect();
        let count = cumulative.pop().filter(|n| *n > 0)?;
        let upper_bounds = BOUNDS_MS.iter().map(|ms| *ms as f64 / 1e3).collect();
        Some(ValueHistogram { upper_bounds, cumulative, count, sum: self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_counted_by_generation_and_time() {
        let pauses = Pauses::new();
        assert!(pauses.read().is_none());
        for ms in [1, 2, 500, 501, 60_000] {
            pauses.add(Duration::from_millis(ms));
        }
        let h = pauses.read().unwrap();
        let at = |bound: f64| h.cumulative[h.upper_bounds.iter().position(|b| *b == bound).unwrap()];
        assert_eq!((at(0.001), at(0.5), at(1.0), at(10.0), h.count), (1, 3, 4, 4, 5));
        assert!((h.sum - 61.004).abs() < 1e-9);
    }

    #[test]
    fn generations_are_bounded() {
        record(7, Duration::from_millis(1));
        record(u32::MAX, Duration::from_millis(1));
        let names: Vec<&str> = super::pauses().iter().map(|p| p.generation).collect();
        assert_eq!(names, ["7", "other"]);
    }
}
