//! What a site retains over time: live bytes of at least some age, on an even grid.
//!
//! Why an age: what is younger than it is churn, in-flight work, a request's buffers. What passes through a site quickly adds
//! noise to its live bytes and nothing to what it retains.

use crate::snapshot::{Cohort, SiteHistory};

/// Points of the grid. More: onsets and recent changes are placed finer; the cost is linear.
pub const GRID: usize = 48;

/// Retained bytes of one site, or of several together, over one window.
#[derive(Debug, Clone)]
pub struct Retained {
    /// Start of the window, epoch seconds.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// The age from which a block counts as retained.
    pub age_s: f64,
    /// Retained bytes at the grid's points; the first is at `from_s`, the last at `to_s`.
    pub bytes: Vec<f64>,
    /// Bytes that one sample stands for, on average.
    pub bytes_per_sample: f64,
    /// Births, by time.
    pub cohorts: Vec<Cohort>,
}

impl Retained {
    /// The window of a history. `None` when the history holds nothing of that age, or nothing at all.
    pub fn of(history: &SiteHistory, age_s: f64, from_s: f64, to_s: f64) -> Option<Retained> {
        let aged = history.aged.iter().find(|a| a.min_age_s == age_s)?;
        let live: u32 = history.cohorts.iter().map(|c| c.live_samples).sum();
        let live_bytes: f64 = history.cohorts.iter().map(|c| c.live_bytes).sum();
        if live == 0 || live_bytes <= 0.0 || to_s <= from_s {
            return None;
        }
        let step = (to_s - from_s) / (GRID - 1) as f64;
        let at = |i: usize| value_at(&history.times_s, &aged.live_bytes, from_s + i as f64 * step);
        Some(Retained {
            from_s,
            to_s,
            age_s,
            bytes: (0..GRID).map(at).collect(),
            bytes_per_sample: live_bytes / f64::from(live),
            cohorts: history.cohorts.clone(),
        })
    }

    /// Adds another site's over the same window. Cohorts share their stretches of time, as all sites of a process do.
    pub fn add(&mut self, other: &Retained) {
        let weigh = |r: &Retained| (r.bytes.last().copied().unwrap_or(0.0) / r.bytes_per_sample).max(1.0);
        let (own, others) = (weigh(self), weigh(other));
        self.bytes_per_sample = (self.bytes_per_sample * own + other.bytes_per_sample * others) / (own + others);
        self.bytes.iter_mut().zip(&other.bytes).for_each(|(a, b)| *a += b);
        for (a, b) in self.cohorts.iter_mut().zip(&other.cohorts) {
            a.allocated_bytes += b.allocated_bytes;
            a.live_bytes += b.live_bytes;
            a.samples += b.samples;
            a.live_samples += b.live_samples;
        }
    }

    /// Distance of the grid's points in seconds.
    pub fn step_s(&self) -> f64 {
        (self.to_s - self.from_s) / (self.bytes.len().max(2) - 1) as f64
    }

    /// Epoch seconds of the grid's points.
    pub fn times_s(&self) -> Vec<f64> {
        (0..self.bytes.len()).map(|i| self.from_s + i as f64 * self.step_s()).collect()
    }

    /// Retained bytes at the end, in samples.
    pub fn samples(&self) -> f64 {
        self.bytes.last().copied().unwrap_or(0.0) / self.bytes_per_sample
    }
}

/// The last known value at a time; nothing is known before the first point, and nothing lived then.
fn value_at(times_s: &[f64], values: &[f64], time_s: f64) -> f64 {
    // A point that is due at this very moment belongs to it, whatever was rounded.
    let known = times_s.partition_point(|t| *t <= time_s + 1e-6);
    known.checked_sub(1).and_then(|i| values.get(i)).copied().unwrap_or(0.0)
}
