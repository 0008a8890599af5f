//! What a season looks like: for each phase of the period, the usual departure from that cycle's own level.
//!
//! Built from the last cycles of the slot history: each cycle's median is taken off, then each phase takes the median
//! over cycles, so that one broken cycle or one level shift does not bend the profile.

use serde::{Deserialize, Serialize};

use super::slots::Slots;

/// Cycles looked at, at most: more is steadier, fewer follows a changing habit.
const CYCLES: usize = 7;
/// Phases a profile has at most.
const PHASES: usize = 1024;

/// One season's profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) period_s: f64,
    phase_s: f64,
    values: Vec<f64>,
    spread: Vec<f64>,
}

impl Profile {
    /// The profile of `period_s` over `x`, which is aligned with `slots`; `None` where two cycles do not fit.
    pub(super) fn build(slots: &Slots, x: &[f64], period_s: f64) -> Option<Profile> {
        let width = slots.width_s();
        let per = period_s / width;
        let cycles = ((x.len() as f64 / per) as usize).min(CYCLES);
        let phases = (per.round() as usize).clamp(1, PHASES);
        if cycles < 2 || phases < 3 {
            return None;
        }
        let begin = x.len() - (cycles as f64 * per) as usize;
        let mut table = vec![f64::NAN; cycles * phases];
        for c in 0..cycles {
            let from = begin + (c as f64 * per) as usize;
            let to = (begin + ((c + 1) as f64 * per) as usize).min(x.len());
            let level = median(&mut x[from..to].to_vec());
            let row = &mut table[c * phases..(c + 1) * phases];
            for (i, v) in x[from..to].iter().enumerate() {
                let clock = slots.start_s() + (from + i) as f64 * width + 0.5 * width;
                let phase = ((clock % period_s) / period_s * phases as f64) as usize;
                row[phase.min(phases - 1)] = v - level;
            }
        }
        let (mut values, mut spread) = (vec![0.0; phases], vec![0.0; phases]);
        let mut column = Vec::with_capacity(cycles);
        for p in 0..phases {
            column.clear();
            column.extend((0..cycles).map(|c| table[c * phases + p]).filter(|v| v.is_finite()));
            if column.is_empty() {
                (values[p], spread[p]) = if p > 0 { (values[p - 1], spread[p - 1]) } else { (0.0, 0.0) };
                continue;
            }
            values[p] = median(&mut column);
            column.iter_mut().for_each(|v| *v = (*v - values[p]).abs());
            spread[p] = 1.4826 * median(&mut column);
        }
        Some(Profile { period_s, phase_s: period_s / phases as f64, values, spread })
    }

    /// Whether any time has a phase in it.
    pub(super) fn is_sound(&self) -> bool {
        let phases = self.values.len();
        let covered = (self.period_s - self.phase_s * phases as f64).abs() <= 1e-6 * self.period_s;
        let spread = self.spread.len() == phases && self.spread.iter().all(|s| *s >= 0.0);
        (1..=PHASES).contains(&phases) && spread && self.phase_s > 0.0 && covered
    }

    /// The seasonal part at `clock_s`, and how uncertain it is: the spread over cycles and half the local slope.
    pub(super) fn at(&self, clock_s: f64) -> (f64, f64) {
        let n = self.values.len();
        let x = (clock_s % self.period_s) / self.phase_s + n as f64 - 0.5;
        let i = x as usize;
        let f = x - i as f64;
        let (a, b, c) = (i % n, (i + 1) % n, (i + n - 1) % n);
        let value = self.values[a] * (1.0 - f) + self.values[b] * f;
        let slope = (self.values[b] - self.values[a]).abs() + (self.values[a] - self.values[c]).abs();
        (value, self.spread[a].max(self.spread[b]) + 0.5 * slope)
    }
}

/// The median; the slice is reordered. Zero for an empty slice.
pub(super) fn median(x: &mut [f64]) -> f64 {
    if x.is_empty() {
        return 0.0;
    }
    let (mid, odd) = (x.len() / 2, x.len() % 2 == 1);
    let (low, m, _) = x.select_nth_unstable_by(mid, f64::total_cmp);
    let m = *m;
    if odd { m } else { 0.5 * (m + low.iter().copied().fold(f64::MIN, f64::max)) }
}
