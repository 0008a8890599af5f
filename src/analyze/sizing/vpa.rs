//! What the Vertical Pod Autoscaler's recommender would say about memory.
//!
//! Exact for comparison's sake: peaks of 24 hours into a decaying histogram, p90 / p50 / p95, × 1.15, bounds widened by
//! how little has been seen, 250 MiB a pod at least, an artificial peak after each OOM kill. Source: `recommender/model`
//! and `recommender/logic` of kubernetes/autoscaler, at their default flags. Estimators are small functions, composed in
//! [`estimate`]. It knows no start-up, no season longer than its half-life, no leak; the strategy `ours` does.

use super::histogram::{Buckets, DecayingHistogram};

/// One peak is kept for each such interval. Shorter: more, noisier peaks.
pub const AGGREGATION_INTERVAL_S: f64 = 24.0 * 3600.0;
/// A sample loses half its weight in this time. Shorter: a weekly peak is forgotten sooner.
pub const HALF_LIFE_S: f64 = 24.0 * 3600.0;
/// Added to every percentile.
pub const SAFETY_MARGIN: f64 = 0.15;
/// Floor of a pod, shared evenly by its containers.
pub const POD_MIN_BYTES: f64 = 250.0 * 1024.0 * 1024.0;
/// After an OOM kill at least this much more, or [`OOM_BUMP_RATIO`] times as much.
pub const OOM_MIN_BUMP_BYTES: f64 = 100.0 * 1024.0 * 1024.0;
/// See [`OOM_MIN_BUMP_BYTES`].
pub const OOM_BUMP_RATIO: f64 = 1.2;

const LARGEST_AMOUNT: f64 = 1e14;
const BUCKETS: (f64, f64, f64) = (1e12, 1e7, 1.05);
/// A thousandth of the lightest sample that the recommender takes (0.1).
const EPSILON: f64 = 1e-4;

/// Bytes as the recommender holds them: whole, never negative, never above 1e14.
fn amount(bytes: f64) -> f64 {
    if bytes.is_nan() { 0.0 } else { bytes.clamp(0.0, LARGEST_AMOUNT).trunc() }
}

/// Peaks of all pods of one container, and how much was seen.
#[derive(Debug, Clone)]
pub struct MemoryPeaks {
    histogram: DecayingHistogram,
    first_sample_s: Option<f64>,
    last_sample_s: Option<f64>,
    samples: u64,
}

impl Default for MemoryPeaks {
    fn default() -> MemoryPeaks {
        let (max, first, ratio) = BUCKETS;
        let count = 176;
        let buckets = Buckets::exponential(max, first, ratio).unwrap_or(Buckets::Exponential { count, first, ratio });
        MemoryPeaks {
            histogram: DecayingHistogram::new(buckets, HALF_LIFE_S, EPSILON),
            first_sample_s: None,
            last_sample_s: None,
            samples: 0,
        }
    }
}

impl MemoryPeaks {
    /// Counts `samples` seen from `first_s` to `last_s` towards the confidence.
    pub fn saw(&mut self, samples: u64, first_s: f64, last_s: f64) {
        self.samples += samples;
        self.first_sample_s = Some(self.first_sample_s.map_or(first_s, |t| t.min(first_s)));
        self.last_sample_s = Some(self.last_sample_s.map_or(last_s, |t| t.max(last_s)));
    }

    /// The smaller of days seen and samples seen at one a minute, in days.
    pub fn confidence(&self) -> f64 {
        let (Some(first), Some(last)) = (self.first_sample_s, self.last_sample_s) else { return 0.0 };
        ((last - first) / 86_400.0).min(self.samples as f64 / 1440.0)
    }
}

/// The aggregation window of one pod's container. Samples are given in order of time.
#[derive(Debug, Clone, Default)]
pub struct Window {
    end_s: Option<f64>,
    last_sample_s: Option<f64>,
    memory_peak: f64,
    oom_peak: f64,
}

impl Window {
    /// Takes a sample; false when it is negative or older than the one before.
    pub fn add(&mut self, at_s: f64, bytes: f64, into: &mut MemoryPeaks) -> bool {
        self.take(at_s, bytes, false, into)
    }

    /// Takes an OOM kill at `requested` bytes as an artificial sample; false when it is over a window older than the last
    /// sample. Earlier OOM peaks are left out on purpose, so that repeated kills do not run away.
    pub fn record_oom(&mut self, at_s: f64, requested: f64, into: &mut MemoryPeaks) -> bool {
        if self.last_sample_s.is_some_and(|last| at_s < last - AGGREGATION_INTERVAL_S) {
            return false;
        }
        let used = amount(requested).max(self.memory_peak);
        let needed = (used + OOM_MIN_BUMP_BYTES).max(amount(used * OOM_BUMP_RATIO));
        self.take(at_s, needed, true, into)
    }

    fn take(&mut self, at_s: f64, bytes: f64, oom: bool, into: &mut MemoryPeaks) -> bool {
        let stale = !oom && self.last_sample_s.is_some_and(|last| at_s < last);
        if !(bytes >= 0.0 && at_s.is_finite()) || stale {
            return false;
        }
        self.last_sample_s = Some(at_s);
        let end_s = *self.end_s.get_or_insert(at_s);
        if at_s < end_s {
            let old = self.memory_peak.max(self.oom_peak);
            if old == 0.0 || bytes <= old {
                return true;
            }
            into.histogram.subtract(old, 1.0, end_s);
        } else {
            let whole = ((at_s - end_s) / AGGREGATION_INTERVAL_S).floor();
            self.end_s = Some(end_s + (whole + 1.0) * AGGREGATION_INTERVAL_S);
            (self.memory_peak, self.oom_peak) = (0.0, 0.0);
        }
        into.histogram.add(bytes, 1.0, self.end_s.unwrap_or(at_s));
        *(if oom { &mut self.oom_peak } else { &mut self.memory_peak }) = bytes;
        true
    }
}

/// What the recommender would set, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The request to set.
    pub target: f64,
    /// A running pod below this is evicted.
    pub lower: f64,
    /// A running pod above this is evicted.
    pub upper: f64,
}

/// Adds `fraction` of the base.
pub fn with_margin(base: f64, fraction: f64) -> f64 {
    amount(base) + amount(base * fraction)
}

/// base · (1 + multiplier / confidence)^exponent; no confidence makes it endless or nothing.
pub fn with_confidence(base: f64, multiplier: f64, exponent: f64, confidence: f64) -> f64 {
    amount(base * (1.0 + multiplier / confidence).powf(exponent))
}

/// The recommendation for one of `containers_per_pod` containers; `None` before the first sample.
pub fn estimate(peaks: &MemoryPeaks, containers_per_pod: usize) -> Option<Estimate> {
    if peaks.histogram.is_empty() {
        return None;
    }
    let confidence = peaks.confidence();
    let floor = amount(amount(POD_MIN_BYTES) / containers_per_pod.max(1) as f64);
    let percentile = |p: f64| with_margin(peaks.histogram.percentile(p), SAFETY_MARGIN);
    Some(Estimate {
        target: percentile(0.9).max(floor),
        lower: with_confidence(percentile(0.5), 0.001, -2.0, confidence).max(floor),
        upper: with_confidence(percentile(0.95), 1.0, 1.0, confidence).max(floor),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: f64 = 1024.0 * 1024.0;
    const T: f64 = 1_492_536_905.0;

    /// The peak that `window` holds in the histogram, read back as the bucket's end.
    fn only_bucket(bytes: f64) -> f64 {
        let mut peaks = MemoryPeaks::default();
        peaks.histogram.add(bytes, 1.0, T);
        peaks.histogram.percentile(1.0)
    }

    fn after_ooms(sample: Option<f64>, ooms: &[f64]) -> (Window, MemoryPeaks) {
        let (mut w, mut p) = (Window::default(), MemoryPeaks::default());
        if let Some(bytes) = sample {
            assert!(w.add(T, bytes, &mut p));
        }
        for &requested in ooms {
            assert!(w.record_oom(T, requested, &mut p));
        }
        (w, p)
    }

    #[test]
    fn published_confidence_multiplier() {
        assert_eq!(with_confidence(3.14e9, 0.1, 2.0, 9.0 / 1440.0), 9.0746e11);
        assert_eq!(with_confidence(3.14e9, 0.1, 2.0, 0.5), 4.5216e9);
        assert_eq!(with_confidence(3.14e9, 1.0, 1.0, 0.0), 1e14);
        assert_eq!(with_confidence(3.14e9, 1.0, -1.0, 0.0), 0.0);
    }

    #[test]
    fn published_margin() {
        assert_eq!(with_margin(3.14e9, 0.1), 3.454e9);
    }

    #[test]
    fn published_oom_bumps() {
        assert_eq!(after_ooms(None, &[1000.0 * MB]).0.oom_peak, 1200.0 * MB);
        assert_eq!(after_ooms(None, &[MB]).0.oom_peak, 101.0 * MB);
        assert_eq!(after_ooms(Some(3000.0 * MB), &[1000.0 * MB]).0.oom_peak, 3600.0 * MB);
    }

    #[test]
    fn smaller_ooms_do_not_run_away_and_larger_ones_replace() {
        let (w, p) = after_ooms(None, &[1000.0 * MB, 999.0 * MB, 999.0 * MB]);
        assert_eq!((w.oom_peak, p.histogram.percentile(1.0)), (1200.0 * MB, only_bucket(1200.0 * MB)));
        let (w, p) = after_ooms(None, &[1000.0 * MB, 999.0 * MB, 2000.0 * MB]);
        assert_eq!((w.oom_peak, p.histogram.percentile(0.0)), (2400.0 * MB, only_bucket(2400.0 * MB)));
    }

    #[test]
    fn an_oom_of_long_ago_is_discarded_and_one_just_before_the_window_is_not() {
        let (mut w, mut p) = after_ooms(Some(1000.0 * MB), &[]);
        assert!(!w.record_oom(T - 30.0 * 3600.0, 1000.0 * MB, &mut p));
        assert_eq!(p.histogram.percentile(1.0), only_bucket(1000.0 * MB));
        let boundary = T + AGGREGATION_INTERVAL_S;
        assert!(w.add(boundary, 2000.0 * MB, &mut p));
        assert!(w.record_oom(boundary - 1.0, 1000.0 * MB, &mut p));
        assert_eq!(w.oom_peak, 2400.0 * MB);
    }

    #[test]
    fn an_oom_in_a_later_window_forgets_the_last_peak() {
        let (mut w, mut p) = after_ooms(Some(2000.0 * MB), &[]);
        assert!(w.record_oom(T + 2.0 * AGGREGATION_INTERVAL_S, 1000.0 * MB, &mut p));
        // The published vector: the window moves after the bump is computed from the peak of the old one.
        assert_eq!(w.oom_peak, 2400.0 * MB);
        assert_eq!(w.end_s, Some(T + 3.0 * AGGREGATION_INTERVAL_S));
    }

    #[test]
    fn one_peak_a_window_and_bad_samples_refused() {
        let (mut w, mut p) = (Window::default(), MemoryPeaks::default());
        let half = AGGREGATION_INTERVAL_S / 2.0;
        assert!(w.add(T, 5e9, &mut p) && w.add(T + half, 1e10, &mut p));
        assert_eq!(p.histogram.percentile(0.0), only_bucket(1e10));
        assert!(w.add(T + 2.0 * half, 2e9, &mut p));
        assert_eq!(p.histogram.percentile(0.0), only_bucket(2e9));
        assert!(!w.add(T + half, 1.0, &mut p) && !w.add(T + 4.0 * half, -1.0, &mut p));
    }

    #[test]
    fn bounds_close_in_with_days_and_the_floor_is_shared() {
        let mut p = MemoryPeaks::default();
        assert_eq!(estimate(&p, 1), None);
        let mut w = Window::default();
        for day in 0..8 {
            w.add(T + f64::from(day) * 86_400.0, 1e9, &mut p);
        }
        p.saw(8 * 1440, T, T + 8.0 * 86_400.0);
        let e = estimate(&p, 1).unwrap();
        assert_eq!(e.target, with_margin(only_bucket(1e9), 0.15));
        assert_eq!(e.upper, amount(e.target * 1.125));
        assert!(e.lower < e.target && e.lower > 0.999 * e.target);
        let mut small = MemoryPeaks::default();
        Window::default().add(T, 1e6, &mut small);
        assert_eq!(estimate(&small, 2).unwrap().target, 125.0 * MB);
    }
}
