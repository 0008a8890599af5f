//! A linear autoregression on chosen lags, iterated: short lags carry the present deviation, lags around one and two
//! seasons carry the shape. Fitted by least squares with exponential forgetting, a small ridge, and rows that were far off
//! weighted down (Huber's weights from the fit so far), so that spikes and broken cycles do not set the coefficients.
//!
//! Paths are held within one range of the known rows beyond their extremes: an iterated fit may have a root above one.

use super::super::linear::Normal;
use super::{Paths, Task};

/// How a fit treats its rows.
#[derive(Clone, Copy)]
pub(in super::super) struct Fit {
    /// What a row's weight is multiplied with as each newer one comes.
    pub keep: f64,
    /// Ridge on standardised rows.
    pub ridge: f64,
}

/// An error beyond this many typical ones pulls no harder than one of that size.
const OUTLYING: f64 = 1.5;
/// Rows between refits for the weights.
const REFIT: usize = 24;

pub(in super::super) fn autoregression(task: &Task<'_>, lags: &[usize], fit: Fit) -> Paths {
    let Some(&first) = task.origins.first() else { return Paths::new() };
    let (mean, sd) = moments(&task.values[..first]);
    let rows: Vec<f64> = task.values.iter().map(|v| (v - mean) / sd).collect();
    let longest = lags.iter().copied().max().unwrap_or(1);
    let mut fitted = Fitted::new(lags, fit);
    let mut row = longest;
    let enough = longest + 2 * (lags.len() + 1) + 10;
    let paths = task.origins.iter().map(|&origin| {
        while row < origin {
            fitted.push(&rows, row);
            row += 1;
        }
        if origin < enough {
            return None;
        }
        let path = fitted.path(&rows[..origin], longest, task.steps(origin))?;
        Some(path.into_iter().map(|z| z * sd + mean).collect())
    });
    paths.collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt().max(f64::MIN_POSITIVE))
}

struct Fitted<'a> {
    lags: &'a [usize],
    fit: Fit,
    normal: Normal,
    /// Of the last refit; what the size of the next errors is judged by.
    coefficients: Option<Vec<f64>>,
    typical_error: f64,
    terms: Vec<f64>,
}

impl<'a> Fitted<'a> {
    fn new(lags: &'a [usize], fit: Fit) -> Fitted<'a> {
        let width = lags.len() + 1;
        Fitted {
            lags,
            fit,
            normal: Normal::new(width),
            coefficients: None,
            typical_error: 0.0,
            terms: vec![1.0; width],
        }
    }

    fn push(&mut self, rows: &[f64], row: usize) {
        for (term, lag) in self.terms.iter_mut().zip(self.lags) {
            *term = rows[row - lag];
        }
        if row.is_multiple_of(REFIT) && self.normal.rows() > 4 * self.terms.len() {
            self.coefficients = self.normal.solve(self.fit.ridge);
        }
        let weight = self.weight(rows[row]);
        self.normal.push(&self.terms, rows[row], weight, self.fit.keep);
    }

    fn weight(&mut self, value: f64) -> f64 {
        let Some(coefficients) = &self.coefficients else { return 1.0 };
        let expected: f64 = self.terms.iter().zip(coefficients).map(|(t, c)| t * c).sum();
        let error = (value - expected).abs();
        let bound = OUTLYING * self.typical_error;
        let weight = if bound > 0.0 && error > bound { bound / error } else { 1.0 };
        let seen = if self.typical_error > 0.0 { error.min(4.0 * self.typical_error) } else { error };
        self.typical_error += if self.typical_error > 0.0 { 0.02 * (seen - self.typical_error) } else { seen };
        weight
    }

    fn path(&self, known: &[f64], longest: usize, steps: usize) -> Option<Vec<f64>> {
        let coefficients = self.normal.solve(self.fit.ridge)?;
        let (constant, slopes) = coefficients.split_last()?;
        let (low, high) = known.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
        let (low, high) = (low - (high - low), high + (high - low));
        let mut rows = known[known.len() - longest..].to_vec();
        for _ in 0..steps {
            let n = rows.len();
            let next: f64 = self.lags.iter().zip(slopes).map(|(lag, c)| rows[n - lag] * c).sum();
            rows.push((next + constant).max(low).min(high));
        }
        Some(rows.split_off(longest))
    }
}
