//! Prediction intervals from what the same blend missed by at past origins, step by step (split conformal prediction, Vovk
//! et al., 2005, over rolling origins): no assumption about the errors' distribution but that they go on as they were.
//!
//! Neighbouring steps lend each other their errors, since there are few origins. Past the checked
//! steps a band widens with the root of the distance, as a random walk's would.

use std::borrow::Borrow;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::combination::blend;
use super::models::Task;
use super::pool::Member;

/// Steps on either side whose errors are lent, as a share of the checked ones.
const LENT: f64 = 0.25;
/// Weights were chosen on the same errors, which makes these a little too small.
const OPTIMISM: f64 = 1.12;
/// Least half width where nothing could be checked, as a share of the level.
const UNCHECKED: f64 = 0.05;

/// An error from a past origin: truth minus blend, over the blend if relative.
pub(super) struct Miss {
    pub origin: usize,
    step: usize,
    /// How much it counts.
    count: f64,
    error: f64,
}

/// What the blend missed by at every checked step from every past origin.
pub(super) fn misses(task: &Task<'_>, members: &[Member], weights: &[f64], relative: bool) -> Vec<Miss> {
    let past = task.origins.len().saturating_sub(1);
    let mut out = Vec::new();
    for (i, &origin) in task.origins[..past].iter().enumerate() {
        let path = blend(members, weights, i);
        let count = task.weight(origin).sqrt();
        for (step, (f, y)) in path.iter().zip(task.truth(origin)).enumerate() {
            let error = if relative { (y - f) / f.abs().max(f64::MIN_POSITIVE) } else { y - f };
            out.push(Miss { origin, step, count, error });
        }
    }
    out
}

/// Half the width of the interval, one a step, in the values' units, or shares of the mean if the misses are relative.
/// `None` without misses.
pub(super) fn bands<M: Borrow<Miss>>(misses: &[M], near: usize, far: usize, level: f64) -> Option<Vec<f64>> {
    if misses.is_empty() {
        return None;
    }
    let lent = (LENT * near as f64).ceil() as usize;
    let mut bands: Vec<f64> = (0..near).map(|step| band(misses, step, lent, level)).collect();
    let last = bands.last().copied().unwrap_or_default();
    bands.extend((near..far).map(|step| last * ((step + 1) as f64 / near as f64).sqrt()));
    bands.truncate(far);
    Some(bands)
}

/// Where nothing could be checked: what rows differ by, over the root of the steps (a random walk), Student's t for the few
/// rows, and never under a share of the level.
pub(super) fn unchecked(values: &[f64], far: usize, level: f64) -> Vec<f64> {
    let differences: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).collect();
    let rows = differences.len().max(1) as f64;
    let spread = (differences.iter().map(|d| d * d).sum::<f64>() / rows).sqrt();
    let quantile = StudentsT::new(0.0, 1.0, rows).map_or(3.0, |t| t.inverse_cdf(0.5 + level / 2.0));
    let least = UNCHECKED * values.last().map_or(0.0, |v| v.abs());
    (1..=far).map(|step| (quantile * spread).max(least) * (step as f64).sqrt()).collect()
}

fn band<M: Borrow<Miss>>(misses: &[M], step: usize, lent: usize, level: f64) -> f64 {
    let near = misses.iter().map(Borrow::borrow).filter(|m| m.step.abs_diff(step) <= lent);
    let mut sizes: Vec<(f64, f64)> = near.map(|m| (m.error.abs(), m.count)).collect();
    OPTIMISM * quantile(&mut sizes, level)
}

/// The value at which `level` of the weight is reached.
fn quantile(weighted: &mut [(f64, f64)], level: f64) -> f64 {
    weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = weighted.iter().map(|w| w.1).sum();
    let mut reached = 0.0;
    let at = weighted.iter().find(|(_, count)| {
        reached += count;
        reached >= level * total
    });
    at.or(weighted.last()).map_or(0.0, |w| w.0)
}
