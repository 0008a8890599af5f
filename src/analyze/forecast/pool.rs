//! Which models run on a series, and on which scale.
//!
//! A small pool of models that err differently beats a large one of models that err alike: dropping near-copies of the
//! autoregression improved the combination. Where the swing within a cycle is large, most models see logarithms.

use super::models::analog::analog;
use super::models::autoregression::{Fit, autoregression};
use super::models::cycle_median::cycle_median;
use super::models::damped_trend::damped_trend;
use super::models::holt_winters::holt_winters;
use super::models::naive::naive;
use super::models::{Paths, Task};

/// Highest row of the last two cycles over the lowest, from which a season is taken to be multiplicative.
const MULTIPLICATIVE: f64 = 2.0;
/// Cycles whose rows are compared for their median.
const CYCLES: usize = 4;
/// Rows whose median is the level where nothing repeats.
const LEVEL_ROWS: usize = 24;

const RIDGE: f64 = 1e-4;
const STEADY: Fit = Fit { keep: 0.997, ridge: RIDGE };
const QUICK: Fit = Fit { keep: 0.995, ridge: RIDGE };

/// A model's name and its paths on the series' own scale.
pub(super) struct Member {
    pub name: &'static str,
    pub paths: Paths,
}

/// Whether levels and swings grow together, so that logarithms make the season additive.
pub(super) fn multiplicative(values: &[f64], cycles: &[usize]) -> bool {
    let Some(season) = cycles.first() else { return false };
    let recent = values.iter().rev().take(2 * season);
    let (low, high) = recent.fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    values.iter().all(|v| *v > 0.0) && high > MULTIPLICATIVE * low
}

/// Every model that fits the series and answered for its last row.
pub(super) fn members(task: &Task<'_>, cycles: &[usize], multiplicative: bool) -> Vec<Member> {
    let logs: Vec<f64>;
    let mut out = plain(task, cycles);
    if multiplicative {
        logs = task.values.iter().map(|v| v.ln()).collect();
        let task = Task { values: &logs, ..*task };
        out.extend(shaped(&task, cycles).into_iter().map(exponential));
    } else {
        out.extend(shaped(task, cycles));
    }
    out.retain(|m| {
        matches!(m.paths.last(), Some(Some(_))) && m.paths.iter().flatten().flatten().all(|v| v.is_finite())
    });
    out
}

/// Models that always see the values themselves.
fn plain(task: &Task<'_>, cycles: &[usize]) -> Vec<Member> {
    let member = |name, paths| Member { name, paths };
    match *cycles {
        [] => vec![member("naive", naive(task, 1)), member("median", cycle_median(task, 1, LEVEL_ROWS))],
        [short] => vec![
            member("naive", naive(task, 1)),
            member("median", cycle_median(task, 1, LEVEL_ROWS)),
            member("seasonal_naive", naive(task, short)),
            member("holt_winters", holt_winters(task, short)),
        ],
        [short, long, ..] => vec![
            member("seasonal_naive", naive(task, short)),
            member("holt_winters", holt_winters(task, short)),
            member("cycle_median", cycle_median(task, long, CYCLES)),
        ],
    }
}

/// Models that see logarithms of a series with a multiplicative season.
fn shaped(task: &Task<'_>, cycles: &[usize]) -> Vec<Member> {
    let member = |name, paths| Member { name, paths };
    match *cycles {
        [] => vec![member("damped_trend", damped_trend(task, 1))],
        [m] => vec![
            member("damped_trend", damped_trend(task, m)),
            member("autoregression", autoregression(task, &lags(&[1, 2, 3, m - 1, m, m + 1, 2 * m]), STEADY)),
        ],
        [m, w, ..] => vec![
            member("damped_trend", damped_trend(task, m)),
            member("autoregression", autoregression(task, &lags(&[1, 2, m, m + 1, w - 1, w, w + 1]), QUICK)),
            member("autoregression_long", autoregression(task, &long_lags(m, w), STEADY)),
            member("analog", analog(task, m, w)),
        ],
    }
}

fn long_lags(m: usize, w: usize) -> Vec<usize> {
    lags(&[1, 2, 3, m - 1, m, m + 1, 2 * m, 3 * m, w - 1, w, w + 1, w + m, 2 * w])
}

fn lags(wanted: &[usize]) -> Vec<usize> {
    let mut out: Vec<usize> = wanted.iter().copied().filter(|l| *l > 0).collect();
    out.sort_unstable();
    out.dedup();
    out
}

fn exponential(mut member: Member) -> Member {
    member.paths.iter_mut().flatten().flatten().for_each(|v| *v = v.exp());
    member
}
