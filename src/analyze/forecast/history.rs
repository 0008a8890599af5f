//! The rows a forecast is made from: even steps, gaps bridged, the newest part of a long series.

use super::super::resample::{resample, resample_within};
use super::super::series::Series;

/// Newest steps that the models see; older ones would cost more than they tell.
const MOST_STEPS: usize = 8_192;

/// Values at `end_s - step_s * (len - 1)` … `end_s`.
pub(super) struct History {
    pub values: Vec<f64>,
    pub step_s: f64,
    pub end_s: f64,
    /// Steps without a row, bridged by a straight line.
    pub bridged: usize,
}

impl History {
    /// At the series' own median step. `None` under two rows.
    pub fn recent(series: &Series) -> Option<History> {
        let (step_s, end_s) = (series.step_s()?, *series.times_s().last()?);
        let oldest = end_s - step_s * (MOST_STEPS - 2) as f64;
        let rows = series.times_s().iter().rev().take_while(|t| **t >= oldest).count();
        let grid = resample(&series.last_rows(rows), step_s, MOST_STEPS + 1)?;
        Some(History { bridged: grid.missing(), values: grid.filled(), step_s, end_s })
    }

    /// The whole series, in coarser steps where it is long.
    pub fn whole(series: &Series) -> Option<History> {
        let grid = resample_within(series, MOST_STEPS)?;
        Some(History {
            bridged: grid.missing(),
            values: grid.filled(),
            step_s: grid.step_s,
            end_s: *series.times_s().last()?,
        })
    }
}
