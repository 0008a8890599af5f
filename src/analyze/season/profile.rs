//! The seasonal profile: what each phase of a period typically adds.
//!
//! Robust: the mean of a phase leaves out its extreme quarter (half from each side), so one bad night does not become a
//! pattern. The profile is centred on zero: it moves value around within a period and adds nothing over a whole one.

use super::fold::Prefix;
use super::median;

/// What each phase of a period adds to the level, in the values' units; sums to zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Rows in a period; need not be whole.
    pub period_rows: f64,
    /// One offset a phase; phase i covers the rows whose position in the period is in [i, i+1)·period/len.
    pub offsets: Vec<f64>,
}

impl Profile {
    /// The robust profile of `values` (NaN where missing) at `period_rows`, after the level of each period is taken out.
    /// `None` when the period is under 2 rows or does not fit twice.
    pub fn of(values: &[f64], period_rows: f64) -> Option<Profile> {
        if !(period_rows >= 2.0 && period_rows.is_finite() && values.len() as f64 >= 2.0 * period_rows - 0.5) {
            return None;
        }
        let flat = Prefix::of(values).detrended(values, period_rows);
        let phases = period_rows.round() as usize;
        let mut by_phase: Vec<Vec<f64>> = vec![Vec::new(); phases];
        for (i, v) in flat.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            by_phase[phase(i as f64, period_rows, phases)].push(*v);
        }
        let means: Vec<f64> = by_phase.iter_mut().map(|v| trimmed_mean(v).unwrap_or(f64::NAN)).collect();
        let mut offsets = super::super::resample::filled(&means);
        let centre = offsets.iter().sum::<f64>() / phases as f64;
        offsets.iter_mut().for_each(|o| *o -= centre);
        Some(Profile { period_rows, offsets })
    }

    /// The offset at a row (rows before or after the series continue the cycle).
    pub fn at(&self, row: f64) -> f64 {
        self.offsets.get(phase(row, self.period_rows, self.offsets.len())).copied().unwrap_or(0.0)
    }
}

fn phase(row: f64, period: f64, phases: usize) -> usize {
    let turn = ((row + 0.5) / period).rem_euclid(1.0);
    ((turn * phases as f64) as usize).min(phases.saturating_sub(1))
}

/// Mean without the lowest and highest eighth; the median of up to three.
fn trimmed_mean(values: &mut [f64]) -> Option<f64> {
    if values.len() <= 3 {
        return median(values);
    }
    values.sort_unstable_by(f64::total_cmp);
    let cut = (values.len() / 8).max(1);
    let kept = &values[cut..values.len() - cut];
    Some(kept.iter().sum::<f64>() / kept.len() as f64)
}
