//! From a series to rows that can be segmented: of unit scale, without seasons, without spikes, not too many.

use crate::analyze::resample::resample_within;
use crate::analyze::season::{Profile, SeasonOptions, find_in};
use crate::analyze::series::Series;

/// Rows segmented at most; a longer series is reduced to means of this many cells. The search takes time in the square of it.
const MOST_ROWS: usize = 2048;
/// Rows to each side whose median says what a row should be. Events shorter than this are spikes, not segments.
const NEIGHBOURS: usize = 12;
/// Seasons weaker than this are left in: their removal would add more noise than it takes away.
const LEAST_STRENGTH: f64 = 0.3;
/// Cycles a season must fit: two or three alike segments in turn are changes, not a season.
const LEAST_CYCLES: f64 = 4.0;

/// Rows in units of the noise.
pub(super) struct Rows {
    /// Time in median steps since the first row.
    pub x: Vec<f64>,
    /// Value in `scale`s from `centre`.
    pub y: Vec<f64>,
    pub centre: f64,
    pub scale: f64,
    /// Smallest difference the values show, in units of `y`: what rounding leaves.
    pub quantum: f64,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.y.len()
    }

    /// `None` when there are no two different values.
    pub(super) fn of(series: &Series) -> Option<Rows> {
        let (x, y) = if series.len() > MOST_ROWS { reduced(series)? } else { whole(series)? };
        let mut rows = scaled(x, y)?;
        rows.without_seasons();
        rows.y = without_spikes(&rows.y, rows.quantum);
        Some(rows)
    }

    /// Takes the profile of each strong season off. Seasons are found on the even grid and taken off at each row's own time.
    fn without_seasons(&mut self) {
        let places = Series::repaired(self.x.clone(), self.y.clone(), None);
        let Some(grid) = resample_within(&places, 4 * MOST_ROWS) else { return };
        let mut rest = grid.values;
        for season in find_in(&rest, &SeasonOptions::default()) {
            let fits = season.period_rows * LEAST_CYCLES <= rest.len() as f64;
            if !(fits && season.strength >= LEAST_STRENGTH) {
                continue;
            }
            let Some(profile) = Profile::of(&rest, season.period_rows) else { continue };
            rest.iter_mut().enumerate().for_each(|(i, v)| *v -= profile.at(i as f64));
            for (x, y) in self.x.iter().zip(&mut self.y) {
                *y -= profile.at((x / grid.step_s).round());
            }
        }
    }
}

/// Times in steps, and values.
fn whole(series: &Series) -> Option<(Vec<f64>, Vec<f64>)> {
    let (step, first) = (series.step_s()?, *series.times_s().first()?);
    Some((series.times_s().iter().map(|t| (t - first) / step).collect(), series.values().to_vec()))
}

/// The same of the cells of a grid that have rows.
fn reduced(series: &Series) -> Option<(Vec<f64>, Vec<f64>)> {
    let (step, grid) = (series.step_s()?, resample_within(series, MOST_ROWS)?);
    let cells = grid.values.iter().enumerate().filter(|(_, v)| v.is_finite());
    Some(cells.map(|(i, v)| (i as f64 * grid.step_s / step, *v)).unzip())
}

fn scaled(x: Vec<f64>, mut y: Vec<f64>) -> Option<Rows> {
    let mut changes: Vec<f64> = y.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let noise = 1.4826 * median(&mut changes) / std::f64::consts::SQRT_2;
    changes.retain(|d| *d > 0.0);
    let low = changes.len() / 20;
    let quantum = if changes.is_empty() { return None } else { *changes.select_nth_unstable_by(low, f64::total_cmp).1 };
    let (centre, scale) = (median(&mut y.clone()), noise.max(quantum));
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    y.iter_mut().for_each(|v| *v = (*v - centre) / scale);
    Some(Rows { x, y, centre, scale, quantum: quantum / scale })
}

/// Each value at most a few local deviations from the median of its neighbours. Steps survive, as the median follows
/// them; so does a change of variance, as the deviation is local.
fn without_spikes(values: &[f64], quantum: f64) -> Vec<f64> {
    let n = values.len();
    let width = 2 * NEIGHBOURS + 1;
    let mut window = Vec::with_capacity(width);
    let mut near = |i: usize| {
        let from = i.saturating_sub(NEIGHBOURS).min(n.saturating_sub(width));
        window.clear();
        window.extend_from_slice(&values[from..(from + width).min(n)]);
        let middle = median(&mut window);
        window.iter_mut().for_each(|v| *v = (*v - middle).abs());
        (middle, (1.4826 * median(&mut window)).max(quantum))
    };
    values
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let (middle, deviation) = near(i);
            middle + redescended(v - middle, deviation)
        })
        .collect()
}

/// Hampel's three-part function: whole up to 3 deviations, held there up to 5, nothing left beyond 8.
fn redescended(distance: f64, deviation: f64) -> f64 {
    let far = distance.abs();
    far.min(3.0 * deviation).min((8.0 * deviation - far).max(0.0)).copysign(distance)
}

/// The middle value (the upper of two); 0 of none; reorders.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
