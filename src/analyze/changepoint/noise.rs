//! The noise's memory: the one number that tells a slow wave from a change of level.
//!
//! Estimated twice. From differences, before any segmentation: steps and slopes touch few of them. Then from what a
//! first, coarse segmentation leaves over, where slow waves under white noise show that lag one does not see.

use super::cost::{Cost, Fit};
use super::partition::spans;
use super::prepare::{Rows, median};

/// Lags that are summed for the long-run variance.
const LAGS: usize = 24;
/// An autocorrelation below this ends the sum: beyond it, only noise is added.
const FADED: f64 = 0.03;
/// φ is held below this; past it a level could not be told from the noise at all.
const MOST: f64 = 0.97;

/// φ from the median sizes of differences over one and two rows: of AR(1) noise their squares stand as 1 to 1 + φ.
pub(super) fn memory_of_differences(values: &[f64]) -> f64 {
    let size = |lag: usize| {
        let mut d: Vec<f64> = values.iter().zip(values.iter().skip(lag)).map(|(a, b)| (b - a).abs()).collect();
        median(&mut d)
    };
    let (one, two) = (size(1), size(2));
    if one > 0.0 { ((two / one).powi(2) - 1.0).clamp(0.0, MOST) } else { 0.0 }
}

/// φ of what the segments leave over, each scaled to its own variance: at lag one, corrected for the degrees of freedom that
/// the fits took, or that of the AR(1) noise with the same long-run variance, whichever is more.
pub(super) fn memory_of_residuals(rows: &Rows, cost: &Cost, cuts: &[usize]) -> f64 {
    let correlations = autocorrelations(rows, cost, cuts);
    let first = correlations.first().copied().unwrap_or(0.0);
    let segments = (cuts.len() + 1) as f64;
    let near = first + segments * (1.0 + 3.0 * first) / rows.len().max(1) as f64;
    let long_run = 1.0 + 2.0 * correlations.iter().take_while(|r| **r >= FADED).sum::<f64>();
    near.max((long_run - 1.0) / (long_run + 1.0)).clamp(0.0, MOST)
}

/// Autocorrelations at lags 1 to [`LAGS`], over all segments.
fn autocorrelations(rows: &Rows, cost: &Cost, cuts: &[usize]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); LAGS];
    for (from, to) in spans(cuts, rows.len()) {
        let rest = residuals(rows, &cost.fit(from, to), from, to);
        let size = rest.iter().map(|r| r * r).sum::<f64>() / rest.len().max(1) as f64;
        for (i, (product, pairs)) in sums.iter_mut().enumerate().take(rest.len() / 3) {
            let lag = i + 1;
            if size > 0.0 {
                *product += rest.iter().zip(&rest[lag..]).map(|(a, b)| a * b).sum::<f64>() / size;
                *pairs += (rest.len() - lag) as f64;
            }
        }
    }
    sums.iter().map(|(product, pairs)| if *pairs > 0.0 { product / pairs } else { 0.0 }).collect()
}

/// How much more a variance wanders than a normal one's would: (κ − 1) / 2 of the innovations, at least 1. The cost takes
/// noise for normal; under heavy tails its gains come out larger by this factor.
pub(super) fn tails(rows: &Rows, cost: &Cost, cuts: &[usize], memory: f64) -> f64 {
    let (mut fourth, mut count) = (0.0, 0.0);
    for (from, to) in spans(cuts, rows.len()) {
        let rest = residuals(rows, &cost.fit(from, to), from, to);
        let squares: Vec<f64> = rest.windows(2).map(|w| (w[1] - memory * w[0]).powi(2)).collect();
        let size = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
        if size > 0.0 {
            fourth += squares.iter().map(|s| (s / size).powi(2)).sum::<f64>();
            count += squares.len() as f64;
        }
    }
    if count > 0.0 { ((fourth / count - 1.0) / 2.0).max(1.0) } else { 1.0 }
}

fn residuals(rows: &Rows, fit: &Fit, from: usize, to: usize) -> Vec<f64> {
    let line = |x: f64| fit.level + fit.slope * (x - fit.middle);
    rows.x[from..to].iter().zip(&rows.y[from..to]).map(|(x, y)| y - line(*x)).collect()
}

/// Robust variance of the innovations of AR(1) noise with this memory, at least what rounding adds.
pub(super) fn innovation_variance(rows: &Rows, memory: f64) -> f64 {
    let innovations: Vec<f64> = rows.y.windows(2).map(|w| w[1] - memory * w[0]).collect();
    let mut changes: Vec<f64> = innovations.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let rounding = rows.quantum * rows.quantum / 12.0;
    ((1.4826 * median(&mut changes)).powi(2) / 2.0).max(rounding)
}
