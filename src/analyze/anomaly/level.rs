//! The drifting level, without seasons: one mean that follows within an hour, one that takes a day and a half.

use serde::{Deserialize, Serialize};

use super::detector::MOST_ROWS;
use super::statistics::Observed;

/// Time constants in hours, and in rows where rows are far apart.
const FAST: (f64, f64) = (1.0, 6.0);
const SLOW: (f64, f64) = (36.0, 200.0);
/// Pace while something is abnormal: a level shift is accepted in a few hours, an outage is not learned.
const ABNORMAL_PACE: f64 = 0.3;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) fast: f64,
    pub(super) slow: f64,
    rows: u64,
}

impl Level {
    pub(super) fn new(value: f64) -> Level {
        Level { fast: value, slow: value, rows: 0 }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.rows < MOST_ROWS
    }

    /// `clip` bounds what one row can do to the slow level.
    pub(super) fn learn(&mut self, row: &Observed, from_fast: f64, clip: f64, abnormal: bool) {
        self.rows += 1;
        let pace = if abnormal { ABNORMAL_PACE } else { 1.0 };
        let cold = 1.0 / (self.rows as f64 + 1.0);
        self.fast += pace * row.share(FAST.0, FAST.1) * from_fast;
        self.slow += pace * row.share(SLOW.0, SLOW.1).max(cold) * row.from_slow.min(clip).max(-clip);
    }
}
