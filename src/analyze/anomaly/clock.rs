//! Time as the detector sees it: seconds since the first row, always forward.
//!
//! The usual step is the median of the first [`FIRST_ROWS`] rows. A row that is not later than the one before counts as one
//! step later, so that a clock set back costs one row and not the rest of the series.

use serde::{Deserialize, Serialize};

use super::profile::median;

/// Rows from which the usual step is taken.
const FIRST_ROWS: usize = 9;

/// Where a row stands in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Tick {
    /// The step is not known yet.
    Early,
    /// Known; seconds since the row before, and whether its time was after that.
    Row { dt_s: f64, in_order: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Clock {
    first: Vec<f64>,
    last_s: Option<f64>,
    step_s: Option<f64>,
    pub(super) now_s: f64,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { first: Vec::with_capacity(FIRST_ROWS), last_s: None, step_s: None, now_s: 0.0 }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.first.len() < FIRST_ROWS && self.step_s.is_none_or(|s| s > 0.0) && self.now_s >= 0.0
    }

    pub(super) fn step_s(&self) -> Option<f64> {
        self.step_s
    }

    pub(super) fn tick(&mut self, time_s: f64) -> Tick {
        let since = self.last_s.replace(time_s).map_or(0.0, |last| time_s - last);
        let Some(step_s) = self.step_s else {
            self.settle(time_s);
            return Tick::Early;
        };
        let in_order = since > 0.0;
        let dt_s = if in_order { since } else { step_s };
        self.now_s += dt_s;
        Tick::Row { dt_s, in_order }
    }

    fn settle(&mut self, time_s: f64) {
        self.first.push(time_s);
        if self.first.len() == FIRST_ROWS {
            let mut steps: Vec<f64> = self.first.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 0.0).collect();
            self.step_s = Some(if steps.is_empty() { 1.0 } else { median(&mut steps) });
            self.first = Vec::new();
        }
    }
}
