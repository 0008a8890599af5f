//! Sums over samples that are not by site: by scope, by size, by the allocator's latency.

use hdrhistogram::Histogram;

use super::history::History;
use super::weight::{Sum, Weight};
use crate::record::event::Call;
use crate::snapshot::{LatencyHistogram, SizeBucket, ValueHistogram};

/// Upper bounds of the histogram of allocation sizes; larger ones have a bucket of their own.
pub const SIZE_BOUNDS: [u64; 12] =
    [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];

/// Upper bounds of the histograms of latency, nanoseconds.
const LATENCY_BOUNDS_NS: [u64; 14] =
    [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Estimated allocations by size.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes([(f64, f64); SIZE_BOUNDS.len() + 1]);

impl Sizes {
    pub fn add(&mut self, size: u64, w: Weight) {
        let bucket = SIZE_BOUNDS.partition_point(|b| *b < size);
        self.0[bucket].0 += w.objects;
        self.0[bucket].1 += w.bytes;
    }

    pub fn buckets(&self) -> Vec<SizeBucket> {
        let bounds = SIZE_BOUNDS.iter().copied().chain([u64::MAX]);
        bounds
            .zip(self.0)
            .map(|(upper_bytes, (count, sum_bytes))| SizeBucket { upper_bytes, count, sum_bytes })
            .collect()
    }
}

/// What the samples say of one scope.
#[derive(Debug, Clone)]
pub struct ScopeTally {
    pub sum: Sum,
    pub sizes: Sizes,
    /// Live bytes over time: epoch seconds and bytes.
    pub history: History<(f64, f64)>,
}

/// Points of a scope's history.
const SCOPE_HISTORY: usize = 60;

impl Default for ScopeTally {
    fn default() -> ScopeTally {
        ScopeTally { sum: Sum::default(), sizes: Sizes::default(), history: History::new(SCOPE_HISTORY) }
    }
}

/// Latency of the sampled calls, one histogram a call.
#[derive(Debug)]
pub struct Latencies(Vec<(Call, Histogram<u64>, f64)>);

impl Default for Latencies {
    fn default() -> Latencies {
        // One nanosecond to four seconds at two digits: some kilobytes each. Values beyond saturate.
        let made = Call::ALL.into_iter().filter_map(|call| {
            let histogram = Histogram::new_with_bounds(1, 4_000_000_000, 2).ok()?;
            Some((call, histogram, 0.0))
        });
        Latencies(made.collect())
    }
}

impl Latencies {
    pub fn record(&mut self, call: Call, nanoseconds: u32) {
        if let Some((_, histogram, sum)) = self.0.iter_mut().find(|(c, ..)| *c == call) {
            histogram.saturating_record(u64::from(nanoseconds));
            *sum += f64::from(nanoseconds);
        }
    }

    pub fn histograms(&self) -> Vec<LatencyHistogram> {
        self.0
            .iter()
            .map(|(call, histogram, sum)| LatencyHistogram {
                call: call.name(),
                histogram: value_histogram(histogram, *sum),
            })
            .collect()
    }
}

fn value_histogram(histogram: &Histogram<u64>, sum_ns: f64) -> ValueHistogram {
    ValueHistogram {
        upper_bounds: LATENCY_BOUNDS_NS.iter().map(|ns| *ns as f64 / 1e9).collect(),
        cumulative: LATENCY_BOUNDS_NS.iter().map(|ns| histogram.count_between(0, *ns)).collect(),
        count: histogram.len(),
        sum: sum_ns / 1e9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_into_their_buckets() {
        let mut sizes = Sizes::default();
        for size in [64, 65, 1 << 40] {
            sizes.add(size, Weight::of(size, 1));
        }
        let b = sizes.buckets();
        let filled: Vec<u64> = b.iter().filter(|b| b.count > 0.5).map(|b| b.upper_bytes).collect();
        assert_eq!(filled, [64, 256, u64::MAX]);
    }

    #[test]
    fn latencies_are_cumulative() {
        let mut l = Latencies::default();
        for ns in [10, 30, 30, 2_000_000_000] {
            l.record(Call::Alloc, ns);
        }
        let h = &l.histograms()[0].histogram;
        assert_eq!((h.cumulative[0], h.cumulative[1], h.count), (1, 3, 4));
    }
}
