//! What a sample stands for, and sums of it.

use crate::record::sampler;
use crate::snapshot::{Estimate, Usage};

/// The Horvitz–Thompson weight of one sample: it stands for 1/P allocations and size/P bytes; the variance that it adds to a
/// sum of bytes is size²·(1−P)/P², to a sum of objects (1−P)/P².
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Weight {
    pub objects: f64,
    pub bytes: f64,
    pub bytes_variance: f64,
    pub objects_variance: f64,
}

impl Weight {
    /// Of a sample of `size` bytes whose distance was drawn with mean `interval`.
    pub fn of(size: u64, interval: u64) -> Weight {
        let p = sampler::probability(size.max(1), interval);
        let (objects, size) = (1.0 / p, size as f64);
        let objects_variance = (1.0 - p) * objects * objects;
        Weight { objects, bytes: size * objects, bytes_variance: size * size * objects_variance, objects_variance }
    }
}

impl Weight {
    /// The same with the bytes of lost samples added. As all of them hang on this one sample's fate, their square is variance.
    pub fn carrying(self, bytes: f64) -> Weight {
        if bytes <= 0.0 || self.bytes <= 0.0 {
            return self;
        }
        let objects = self.objects * bytes / self.bytes;
        Weight {
            objects: self.objects + objects,
            bytes: self.bytes + bytes,
            bytes_variance: self.bytes_variance + bytes * bytes,
            objects_variance: self.objects_variance + objects * objects,
        }
    }
}

/// A running sum of samples. Sums of what lives go to exactly 0 with their last sample, whatever was rounded on the way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(Usage);

impl Sum {
    pub fn born(&mut self, w: Weight) {
        let u = &mut self.0;
        u.allocated_bytes += w.bytes;
        u.allocated_objects += w.objects;
        u.samples += 1;
        self.lives(w);
    }

    pub fn lives(&mut self, w: Weight) {
        let u = &mut self.0;
        u.live_samples += 1;
        u.live_bytes.value += w.bytes;
        u.live_bytes.variance += w.bytes_variance;
        u.live_objects.value += w.objects;
        u.live_objects.variance += w.objects_variance;
    }

    pub fn died(&mut self, w: Weight) {
        let u = &mut self.0;
        u.live_samples = u.live_samples.saturating_sub(1);
        u.live_bytes.value -= w.bytes;
        u.live_bytes.variance -= w.bytes_variance;
        u.live_objects.value -= w.objects;
        u.live_objects.variance -= w.objects_variance;
        if u.live_samples == 0 {
            (u.live_bytes, u.live_objects) = (Estimate::default(), Estimate::default());
        }
    }

    pub fn add(&mut self, other: &Sum) {
        add_usage(&mut self.0, &other.0);
    }

    pub fn usage(&self) -> Usage {
        self.0
    }
}

/// Adds what lives and what was allocated.
pub fn add_usage(to: &mut Usage, from: &Usage) {
    for (to, from) in [(&mut to.live_bytes, from.live_bytes), (&mut to.live_objects, from.live_objects)] {
        to.value += from.value;
        to.variance += from.variance;
    }
    to.allocated_bytes += from.allocated_bytes;
    to.allocated_objects += from.allocated_objects;
    to.live_samples += from.live_samples;
    to.samples += from.samples;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_far_above_the_interval_stands_for_itself() {
        let w = Weight::of(100 << 20, 4096);
        assert_eq!((w.objects, w.bytes, w.bytes_variance), (1.0, (100 << 20) as f64, 0.0));
    }

    #[test]
    fn a_small_block_stands_for_about_the_interval() {
        let w = Weight::of(64, 512 << 10);
        assert!((w.bytes / (512 << 10) as f64 - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_sum_ends_at_zero() {
        let mut s = Sum::default();
        let ws: Vec<Weight> = (1..2000).map(|i| Weight::of(i * 37 % 9001 + 1, 4096)).collect();
        ws.iter().for_each(|w| s.born(*w));
        ws.iter().rev().for_each(|w| s.died(*w));
        let u = s.usage();
        assert_eq!((u.live_bytes, u.live_objects), (Estimate::default(), Estimate::default()));
        assert_eq!((u.live_samples, u.samples), (0, 1999));
    }
}
