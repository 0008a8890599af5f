//! Seasons: cycles of any length that fits twice, several at once, with the strength of each.
//!
//! Candidates come from the spectrum (`spectrum`), the verdict from predicting every cycle by the others (`fold`).
//! Seasons are then taken one at a time, strongest first, a shorter one before its own multiple, each removed before the
//! next is judged: that resolves harmonics and multiples. Trend, steps, spikes, gaps and wandering noise are expected.
//! Invariant: on a series without a season, one is reported at the rate [`SeasonOptions::false_alarm`], over noise of all colours.
//! It does not find a season that fits fewer than two times, nor one whose period keeps changing.

mod fold;
mod profile;
mod spectrum;

use serde::Serialize;

use self::fold::{Fold, Prefix, fold};
pub use self::profile::Profile;
use super::resample::{filled, resample_within};
use super::series::Series;

/// Cells a series is reduced to before the search. A longer one is also searched at its own step over its last so many rows.
const MOST_CELLS: usize = 4096;

/// Independent trials that one row counts as when the false-alarm rate is shared out: the periods tried, the refinement of
/// each, and that red noise has more power at a period than at its harmonics. Found by generating noise of every colour.
const TRIALS_PER_ROW: f64 = 300.0;

/// Periods that people and schedulers live by, in seconds: hour, day, week. They are expected, so each counts as so many trials
/// only, and two or three days suffice where another period would need more.
const CALENDAR_S: [f64; 3] = [3600.0, 86_400.0, 604_800.0];
const CALENDAR_TRIALS: f64 = 50.0;

/// Candidates of the largest share that are looked at closely in each round; a closer look costs eight folds.
const LEADING: usize = 3;

/// One cycle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Season {
    /// Length in seconds.
    pub period_s: f64,
    /// Length in rows of the series' median step; need not be whole.
    pub period_rows: f64,
    /// Share of the variance around the trend that this season explains when the other seasons are taken out, 0–1.
    pub strength: f64,
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeasonOptions {
    /// Seasons returned at most. Default 4; each costs one more pass over the candidates.
    pub most: usize,
    /// Weakest strength reported. Default 0.1: weaker ones do not improve a prediction by a noticeable amount.
    pub least_strength: f64,
    /// Probability of any season on a series that has none. Default 0.01; smaller misses weak seasons of short series.
    pub false_alarm: f64,
}

impl Default for SeasonOptions {
    fn default() -> SeasonOptions {
        SeasonOptions { most: 4, least_strength: 0.1, false_alarm: 0.01 }
    }
}

/// Seasons of a series, strongest first; empty when there is none or the data are too few to say.
pub fn find_seasons(series: &Series, options: &SeasonOptions) -> Vec<Season> {
    let Some(step) = series.step_s() else { return Vec::new() };
    let mut found = on_grid(series, step, options);
    if series.len() > MOST_CELLS {
        let fine = on_grid(&series.last_rows(MOST_CELLS), step, options);
        found.extend(fine.into_iter().filter(|f| f.period_rows < MOST_CELLS as f64 / 8.0));
        merge(&mut found, options);
    }
    found
}

fn on_grid(series: &Series, step_s: f64, options: &SeasonOptions) -> Vec<Season> {
    let Some(grid) = resample_within(series, MOST_CELLS) else { return Vec::new() };
    search(&grid.values, &CALENDAR_S.map(|s| s / grid.step_s), options)
        .into_iter()
        .map(|s| {
            let period_s = s.period_rows * grid.step_s;
            Season { period_s, period_rows: period_s / step_s, strength: s.strength }
        })
        .collect()
}

/// The stronger of two that are one period seen at two resolutions stays.
fn merge(found: &mut Vec<Season>, options: &SeasonOptions) {
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let mut kept: Vec<Season> = Vec::new();
    for s in found.drain(..) {
        if kept.iter().all(|k| (k.period_s / s.period_s - 1.0).abs() > 0.05) {
            kept.push(s);
        }
    }
    kept.truncate(options.most);
    *found = kept;
}

/// Seasons of evenly spaced values (NaN where missing), strongest first; `period_s` equals `period_rows`. Knows no calendar.
pub fn find_in(values: &[f64], options: &SeasonOptions) -> Vec<Season> {
    search(values, &[], options)
}

fn search(values: &[f64], expected: &[f64], options: &SeasonOptions) -> Vec<Season> {
    let Some(clean) = cleaned(values) else { return Vec::new() };
    let bar = Bar {
        any: options.false_alarm / (TRIALS_PER_ROW * values.len() as f64),
        expected: options.false_alarm / CALENDAR_TRIALS,
        periods: expected.iter().copied().filter(|p| (2.0..=values.len() as f64 / 2.0).contains(p)).collect(),
    };
    let mut rest = clean.clone();
    let mut taken: Vec<(f64, Vec<f64>)> = Vec::new();
    while taken.len() < options.most.max(1) {
        let Some(season) = next_season(&rest, &bar) else { break };
        let Some(profile) = Profile::of(&rest, season.period) else { break };
        let part: Vec<f64> = (0..rest.len()).map(|i| profile.at(i as f64)).collect();
        rest.iter_mut().zip(&part).for_each(|(r, p)| *r -= p);
        taken.push((season.period, part));
    }
    strengths(&rest, taken, options)
}

/// How unlikely a season must be by chance.
struct Bar {
    any: f64,
    expected: f64,
    periods: Vec<f64>,
}

impl Bar {
    fn passes(&self, fold: &Fold) -> bool {
        let known = self.periods.iter().any(|p| (fold.period / p - 1.0).abs() < 0.04);
        fold.chance < if known { self.expected } else { self.any }
    }
}

/// The next season to take: the best share, or the divisor of it that must go first.
fn next_season(rest: &[f64], bar: &Bar) -> Option<Fold> {
    let sums = Prefix::of(rest);
    let proposed = spectrum::candidates(&filled(rest));
    let folds = bar.periods.iter().chain(&proposed).filter_map(|p| fold(rest, &sums, *p));
    let mut folds: Vec<Fold> = folds.filter(|f| f.chance < 0.05).collect();
    folds.sort_by(|a, b| b.share.total_cmp(&a.share));
    let sharpened = |f: &Fold| Some(refine(rest, &sums, *f)).filter(|f| bar.passes(f));
    let leading = folds.iter().take(LEADING).filter_map(sharpened);
    let mut best = leading.max_by(|a, b| a.share.total_cmp(&b.share))?;
    while let Some(f) = folds.iter().filter(|f| divides(f, &best)).filter_map(sharpened).find(|f| goes_first(f, &best))
    {
        best = f;
    }
    Some(best)
}

/// Share of a period's variance from which on its m-th part is a season of its own, not a harmonic.
fn own_share(m: f64) -> f64 {
    (1.3 / m).max(0.1)
}

/// Near enough to a divisor of `long` to be worth a closer look.
fn divides(short: &Fold, long: &Fold) -> bool {
    let m = long.period / short.period;
    m > 1.5 && (m / m.round() - 1.0).abs() < 0.06 && short.variance >= 0.7 * long.variance * own_share(m)
}

/// Any shape of period q shows 1/m of its variance when folded at q/m. A divisor that shows clearly more is a season itself.
fn goes_first(short: &Fold, long: &Fold) -> bool {
    let m = (long.period / short.period).round();
    let tolerance = 0.03_f64.max(1.0 / long.period);
    m >= 2.0
        && (long.period / short.period / m - 1.0).abs() < tolerance
        && short.variance >= long.variance * own_share(m)
}

/// The period near a fold's that predicts best, by steps that shift the last cycle against the first by a quarter and less.
fn refine(rest: &[f64], sums: &Prefix, coarse: Fold) -> Fold {
    let mut best = coarse;
    let mut step = 0.25 * coarse.period * coarse.period / rest.len() as f64;
    for _ in 0..4 {
        let around = [best.period - step, best.period + step];
        let fits = |p: &f64| *p >= 2.0 && *p <= rest.len() as f64 / 2.0;
        let better = around.into_iter().filter(fits).filter_map(|p| fold(rest, sums, p));
        best = better.fold(best, |a, b| if b.share > a.share { b } else { a });
        step /= 2.0;
    }
    best
}

/// Strength of each: its variance against its own and what no season explains, both without the slow part.
fn strengths(rest: &[f64], taken: Vec<(f64, Vec<f64>)>, options: &SeasonOptions) -> Vec<Season> {
    let mut found: Vec<Season> = taken
        .iter()
        .map(|(period, part)| {
            let noise = variance(&Prefix::of(rest).detrended(rest, *period));
            let own = variance(part);
            Season { period_s: *period, period_rows: *period, strength: own / (own + noise).max(f64::MIN_POSITIVE) }
        })
        .collect();
    found.retain(|s| s.strength >= options.least_strength);
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    found
}

fn variance(values: &[f64]) -> f64 {
    let (sum, n) = values.iter().filter(|v| v.is_finite()).fold((0.0, 0.0), |(s, n), v| (s + v * v, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

/// Without line, scale and spikes: what is searched. `None` under eight values or when nothing varies.
fn cleaned(values: &[f64]) -> Option<Vec<f64>> {
    let present = values.iter().filter(|v| v.is_finite()).count();
    if present < 8 {
        return None;
    }
    let slope = robust_slope(values);
    let mut out: Vec<f64> = values.iter().enumerate().map(|(i, v)| v - slope * i as f64).collect();
    let mut sorted: Vec<f64> = out.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let (low, middle, high) = (rank(0.05), rank(0.5), rank(0.95));
    // Rare long pulses can leave no range between these ranks.
    let range = if high > low { high - low } else { rank(1.0) - rank(0.0) };
    let noise = 1e-12 * middle.abs().max(f64::MIN_POSITIVE);
    if !(range > noise && range.is_finite()) {
        return None;
    }
    out.iter_mut().for_each(|v| *v = (v.clamp(low - 0.5 * range, high + 0.5 * range) - middle) / range);
    Some(out)
}

/// Median of the slopes between rows half a series apart (Theil–Sen on those pairs), per row.
fn robust_slope(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    let rises = values.iter().zip(values.iter().skip(half)).map(|(a, b)| (b - a) / half.max(1) as f64);
    median(&mut rises.filter(|r| r.is_finite()).collect::<Vec<f64>>()).unwrap_or(0.0)
}

/// The middle value (the upper of two); reorders.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/analysis/season.md")]
struct Page;

#[cfg(test)]
mod tests;
