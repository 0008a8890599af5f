//! What is kept of a container's memory use: one bucket an hour, however many samples there were.
//!
//! It exists so that a fleet can be read as a stream. Memory is bounded by containers, not by samples: past
//! [`MAX_BUCKETS`] the buckets become twice as wide, past [`MAX_WIDTH_S`] the oldest go and are counted.
//!
//! Invariant: buckets are consecutive and aligned to the first sample, so a window of 24 hours counted from the first
//! sample (the VPA's) is a whole number of buckets. Bad samples never enter; each kind is counted in [`Rejected`].

use serde::Serialize;

/// Buckets kept for one container: 30 days of hours.
pub const MAX_BUCKETS: usize = 720;
/// The narrowest bucket.
pub const BUCKET_S: f64 = 3600.0;
/// The widest bucket; a divisor of 24 hours.
pub const MAX_WIDTH_S: f64 = 8.0 * BUCKET_S;
/// More memory than any machine has; a sample above is a fault of its source.
pub const ABSURD_BYTES: f64 = (1u64 << 50) as f64;
/// Less than any running container uses; values below are in other units than bytes.
pub const SMALLEST_BYTES: f64 = 65_536.0;
/// OOM kills kept with their time and limit; more are only counted.
pub const MAX_OOMS: usize = 32;

/// One stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bucket {
    /// Highest sample, bytes.
    pub peak: f64,
    /// Sum of samples, for the mean.
    pub sum: f64,
    /// Lowest sample, bytes.
    pub low: f32,
    /// Samples; 0 is a gap.
    pub count: u32,
}

impl Bucket {
    /// Mean of the samples; `None` in a gap.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }

    fn take(&mut self, bytes: f64) {
        self.peak = self.peak.max(bytes);
        self.low = if self.count == 0 { bytes as f32 } else { self.low.min(bytes as f32) };
        self.sum += bytes;
        self.count = self.count.saturating_add(1);
    }

    fn merge(&mut self, other: &Bucket) {
        if other.count == 0 {
            return;
        }
        self.low = if self.count == 0 { other.low } else { self.low.min(other.low) };
        self.peak = self.peak.max(other.peak);
        self.sum += other.sum;
        self.count = self.count.saturating_add(other.count);
    }
}

/// Samples that could not be used, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// NaN or infinite.
    pub not_finite: u64,
    /// Below zero.
    pub negative: u64,
    /// Above [`ABSURD_BYTES`].
    pub absurd: u64,
    /// A second sample for a time that has one.
    pub duplicate: u64,
    /// Further from the rest than all buckets reach.
    pub far_off: u64,
}

impl Rejected {
    /// All causes together.
    pub fn total(&self) -> u64 {
        self.not_finite + self.negative + self.absurd + self.duplicate + self.far_off
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Rejected) {
        self.not_finite += other.not_finite;
        self.negative += other.negative;
        self.absurd += other.absurd;
        self.duplicate += other.duplicate;
        self.far_off += other.far_off;
    }
}

/// An OOM kill and the limit it happened at, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Oom {
    /// Epoch seconds.
    pub at_s: f64,
    /// The limit in force; `None` when unknown.
    pub limit_bytes: Option<f64>,
}

/// The memory use of one container of one pod.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    anchor_s: f64,
    width_s: f64,
    buckets: Vec<Bucket>,
    first_s: f64,
    last_s: f64,
    samples: u64,
    tiny: u64,
    peak: f64,
    rejected: Rejected,
    ooms: Vec<Oom>,
    oom_kills: u64,
}

impl Usage {
    /// Takes one sample. Order does not matter for the buckets; a repeated time is only seen next to itself.
    pub fn add(&mut self, at_s: f64, bytes: f64) {
        if !self.acceptable(at_s, bytes) {
            return;
        }
        let Some(index) = self.reach(at_s) else {
            self.rejected.far_off += 1;
            return;
        };
        self.buckets[index].take(bytes);
        self.first_s = if self.samples == 0 { at_s } else { self.first_s.min(at_s) };
        self.last_s = if self.samples == 0 { at_s } else { self.last_s.max(at_s) };
        self.samples += 1;
        self.tiny += u64::from(bytes > 0.0 && bytes < SMALLEST_BYTES);
        self.peak = self.peak.max(bytes);
    }

    /// Raises the peak of a stretch that already has samples: what the process itself saw between two scrapes.
    pub fn raise_peak(&mut self, at_s: f64, bytes: f64) {
        let sane = bytes.is_finite() && (0.0..=ABSURD_BYTES).contains(&bytes) && at_s.is_finite();
        if !sane || self.samples == 0 || at_s < self.anchor_s {
            return;
        }
        let index = ((at_s - self.anchor_s) / self.width_s) as usize;
        if let Some(bucket) = self.buckets.get_mut(index).filter(|b| b.count > 0) {
            bucket.peak = bucket.peak.max(bytes);
            self.peak = self.peak.max(bytes);
        }
    }

    /// Records an OOM kill. Of more than [`MAX_OOMS`] the oldest is only counted.
    pub fn add_oom(&mut self, at_s: f64, limit_bytes: Option<f64>) {
        self.oom_kills += 1;
        if !at_s.is_finite() {
            return;
        }
        if self.ooms.len() == MAX_OOMS {
            self.ooms.remove(0);
        }
        self.ooms.push(Oom { at_s, limit_bytes: limit_bytes.filter(|b| b.is_finite() && *b > 0.0) });
    }

    /// The stretches in order of time with the time each begins; gaps left out.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = (f64, &Bucket)> {
        let (anchor, width) = (self.anchor_s, self.width_s);
        let at = move |(i, b)| (anchor + i as f64 * width, b);
        self.buckets.iter().enumerate().map(at).filter(|(_, b)| b.count > 0)
    }

    /// Width of a bucket in seconds; 0 before the first sample.
    pub fn width_s(&self) -> f64 {
        self.width_s
    }

    /// Time of the earliest sample; `None` without samples.
    pub fn first_s(&self) -> Option<f64> {
        (self.samples > 0).then_some(self.first_s)
    }

    /// Time of the latest sample; `None` without samples.
    pub fn last_s(&self) -> Option<f64> {
        (self.samples > 0).then_some(self.last_s)
    }

    /// Samples taken.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Highest sample ever taken, bytes.
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// Share of samples too small for a running container, 0–1: a sign of values in other units than bytes.
    pub fn tiny_ratio(&self) -> f64 {
        if self.samples == 0 { 0.0 } else { self.tiny as f64 / self.samples as f64 }
    }

    /// Samples that were refused.
    pub fn rejected(&self) -> &Rejected {
        &self.rejected
    }

    /// The latest OOM kills, oldest first.
    pub fn ooms(&self) -> &[Oom] {
        &self.ooms
    }

    /// All OOM kills, also those no longer kept one by one.
    pub fn oom_kills(&self) -> u64 {
        self.oom_kills
    }

    fn acceptable(&mut self, at_s: f64, bytes: f64) -> bool {
        let r = &mut self.rejected;
        let counter = if !at_s.is_finite() || !bytes.is_finite() {
            &mut r.not_finite
        } else if bytes < 0.0 {
            &mut r.negative
        } else if bytes > ABSURD_BYTES {
            &mut r.absurd
        } else if self.samples > 0 && at_s == self.last_s {
            &mut r.duplicate
        } else {
            return true;
        };
        *counter += 1;
        false
    }

    /// The index of the bucket for `at_s`, made if it is not there.
    fn reach(&mut self, at_s: f64) -> Option<usize> {
        if self.buckets.is_empty() {
            (self.anchor_s, self.width_s) = (at_s, BUCKET_S);
        }
        let span = (at_s - self.anchor_s).max(self.anchor_s + self.width_s * self.buckets.len() as f64 - at_s);
        if !self.buckets.is_empty() && span > MAX_WIDTH_S * 2.0 * MAX_BUCKETS as f64 {
            return None;
        }
        if at_s < self.anchor_s && !self.extend_back(at_s) {
            return None;
        }
        let mut index = ((at_s - self.anchor_s) / self.width_s) as usize;
        while index >= MAX_BUCKETS {
            self.make_room();
            index = ((at_s - self.anchor_s) / self.width_s) as usize;
        }
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, Bucket::default());
        }
        Some(index)
    }

    /// Puts empty buckets in front, so that `at_s` has one; false when that would push the latest out.
    fn extend_back(&mut self, at_s: f64) -> bool {
        loop {
            let more = ((self.anchor_s - at_s) / self.width_s).ceil() as usize;
            if more + self.buckets.len() <= MAX_BUCKETS {
                self.buckets.splice(0..0, std::iter::repeat_n(Bucket::default(), more));
                self.anchor_s -= more as f64 * self.width_s;
                return true;
            }
            if self.width_s >= MAX_WIDTH_S {
                return false;
            }
            self.make_room();
        }
    }

    /// Makes buckets twice as wide, or drops the oldest eighth once they are at their widest.
    fn make_room(&mut self) {
        if self.width_s >= MAX_WIDTH_S {
            let gone = (MAX_BUCKETS / 8).min(self.buckets.len());
            self.buckets.drain(..gone);
            self.anchor_s += (MAX_BUCKETS / 8) as f64 * self.width_s;
            return;
        }
        let halved = self.buckets.chunks(2).map(|pair| {
            let mut first = pair[0];
            pair[1..].iter().for_each(|b| first.merge(b));
            first
        });
        self.buckets = halved.collect();
        self.width_s *= 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    #[test]
    fn an_hour_is_one_bucket_with_peak_low_and_mean() {
        let mut u = Usage::default();
        for (t, v) in [(100.0, 5.0), (3699.0, 1.0), (3700.0, 3.0)] {
            u.add(t, v * MIB);
        }
        let got: Vec<_> = u.buckets().map(|(t, b)| (t, b.peak, b.low, b.mean().unwrap())).collect();
        assert_eq!(got, [(100.0, 5.0 * MIB, MIB as f32, 3.0 * MIB), (3700.0, 3.0 * MIB, 3.0 * MIB as f32, 3.0 * MIB)]);
    }

    #[test]
    fn memory_is_bounded_by_containers() {
        let mut u = Usage::default();
        for hour in 0..20_000 {
            u.add(f64::from(hour) * 3600.0, MIB);
        }
        assert!(u.buckets.len() <= MAX_BUCKETS && u.width_s == MAX_WIDTH_S);
        assert_eq!(u.samples(), 20_000);
        assert_eq!(u.buckets().next_back().unwrap().0 + MAX_WIDTH_S, 20_000.0 * 3600.0);
    }

    #[test]
    fn order_does_not_matter() {
        let (mut forward, mut back) = (Usage::default(), Usage::default());
        for hour in 0..900 {
            forward.add(f64::from(hour) * 3600.0, f64::from(hour + 1) * MIB);
            back.add(f64::from(899 - hour) * 3600.0, f64::from(900 - hour) * MIB);
        }
        let peaks = |u: &Usage| u.buckets().map(|(_, b)| b.sum).sum::<f64>();
        assert_eq!(peaks(&forward), peaks(&back));
        assert_eq!((forward.peak(), forward.first_s()), (back.peak(), back.first_s()));
    }

    #[test]
    fn bad_samples_are_counted_by_cause() {
        let mut u = Usage::default();
        for (t, v) in [(1.0, MIB), (1.0, MIB), (2.0, f64::NAN), (3.0, -1.0), (4.0, 1e18), (4e9, MIB), (5.0, 300.0)] {
            u.add(t, v);
        }
        let want = Rejected { not_finite: 1, negative: 1, absurd: 1, duplicate: 1, far_off: 1 };
        assert_eq!((u.rejected(), u.samples(), u.tiny_ratio()), (&want, 2, 0.5));
    }

    #[test]
    fn a_peak_between_scrapes_raises_only_a_stretch_that_was_seen() {
        let mut u = Usage::default();
        u.add(0.0, MIB);
        u.raise_peak(60.0, 9.0 * MIB);
        u.raise_peak(7200.0, 99.0 * MIB);
        assert_eq!((u.peak(), u.samples()), (9.0 * MIB, 1));
    }
}
