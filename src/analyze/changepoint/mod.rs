//! Changepoints: the rows from which level, slope or variance are different.
//!
//! Seasons and spikes are taken off (`prepare`); the series is cut into lines under autocorrelated noise at the least cost
//! (`cost`, `partition`); the noise's memory is estimated on the way (`noise`); each cut is then placed and
//! named (`junction`). Vocabulary: a *cut* is a row index at which a new segment begins; φ, the *memory*, is the noise's
//! autocorrelation at lag one. Invariant: a series of one regime is left silent, whatever its noise, at the rate the tests
//! declare. It is for looking back: a change is found once about [`ChangepointOptions::least_rows`] rows follow it, and an
//! excursion shorter than that is a spike, not two changes.

mod cost;
mod junction;
mod noise;
mod partition;
mod prepare;

use serde::Serialize;

use self::cost::{Cost, Fit};
use self::junction::Junction;
use self::partition::partition;
use self::prepare::Rows;
use super::series::Series;

/// First and second look at the noise's memory, before the final segmentation.
const LOOKS: usize = 2;
/// Penalty of those looks over the final one: what is left in only makes the memory, and so the answer, more cautious.
const CAUTION: f64 = 1.2;
/// Rows to each side within which a bend is looked for.
const REACH: usize = 40;
/// A step must save this many ln(rows) over a bend to be believed where both are possible.
const STEP_PRICE: f64 = 2.0;

/// What changed most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A step from one level to another.
    Level,
    /// A bend: the rate of growth is another.
    Slope,
    /// The scatter is wider or narrower.
    Variance,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Kind::Level => "level",
            Kind::Slope => "slope",
            Kind::Variance => "variance",
        })
    }
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Changepoint {
    /// Epoch seconds of the first row of the new regime.
    pub at_s: f64,
    /// Index of that row.
    pub row: usize,
    /// Level that the old regime had reached, seasons taken off, in the values' unit.
    pub before: f64,
    /// Level at which the new regime begins.
    pub after: f64,
    /// Growth of the old regime, units per hour.
    pub slope_before_per_hour: f64,
    /// Growth of the new regime, units per hour.
    pub slope_after_per_hour: f64,
    /// Standard deviation around the old regime's line.
    pub deviation_before: f64,
    /// Standard deviation around the new regime's line.
    pub deviation_after: f64,
    /// What changed most.
    pub kind: Kind,
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangepointOptions {
    /// Price of a change in ln(rows). Default 5; less finds fainter changes and invents some on noise with a long memory.
    pub penalty: f64,
    /// Rows a regime has at least. Default 10; fewer lets noise pass for regimes.
    pub least_rows: usize,
}

impl Default for ChangepointOptions {
    fn default() -> ChangepointOptions {
        ChangepointOptions { penalty: 5.0, least_rows: 10 }
    }
}

/// Changes of a series, in time order. `None` when the rows are too few to hold two regimes.
pub fn find_changepoints(series: &Series, options: &ChangepointOptions) -> Option<Vec<Changepoint>> {
    let least = options.least_rows.max(3);
    if series.len() < 2 * least {
        return None;
    }
    let Some(rows) = Rows::of(series).filter(|r| r.len() >= 2 * least) else { return Some(Vec::new()) };
    let (cuts, memory) = segment(&rows, options.penalty * (rows.len() as f64).ln(), least);
    let cost = Cost::new(&rows, memory, noise::innovation_variance(&rows, memory));
    let cuts = placed(&rows, &cost, cuts, memory, least);
    Some(described(series, &rows, &cost, &cuts, memory))
}

/// Changes of evenly spaced values, as row indices. `None` when the values are too few.
pub fn find_in(values: &[f64], options: &ChangepointOptions) -> Option<Vec<usize>> {
    let times = (0..values.len()).map(|i| i as f64).collect();
    let found = find_changepoints(&Series::repaired(times, values.to_vec(), None), options)?;
    Some(found.iter().map(|c| c.at_s as usize).collect())
}

/// The cuts and the noise's memory, found in turns.
fn segment(rows: &Rows, penalty: f64, least: usize) -> (Vec<usize>, f64) {
    let (mut memory, mut tails) = (noise::memory_of_differences(&rows.y), 1.0);
    for _ in 0..LOOKS {
        let cost = Cost::new(rows, memory, noise::innovation_variance(rows, memory));
        let cuts = partition(&cost, rows.len(), CAUTION * tails * penalty, least);
        memory = noise::memory_of_residuals(rows, &cost, &cuts);
        tails = noise::tails(rows, &cost, &cuts, memory);
    }
    let cost = Cost::new(rows, memory, noise::innovation_variance(rows, memory));
    (partition(&cost, rows.len(), tails * penalty, least), memory)
}

/// Cuts without a step between slopes are moved to where the line bends.
fn placed(rows: &Rows, cost: &Cost, mut cuts: Vec<usize>, memory: f64, least: usize) -> Vec<usize> {
    for k in 0..cuts.len() {
        let (junction, before, after) = junction(rows, cost, &cuts, k, memory);
        if before.slope == 0.0 && after.slope == 0.0 {
            continue;
        }
        let (lowest, highest) = (junction.from + least, junction.to - least);
        let bend = junction.best_bend(lowest.max(cuts[k].saturating_sub(REACH)), highest.min(cuts[k] + REACH));
        let price = STEP_PRICE * (rows.len() as f64).ln();
        if let Some((at, _)) = bend.filter(|b| b.1 < junction.apart(cuts[k]) + price) {
            cuts[k] = at;
        }
    }
    cuts
}

fn junction<'a>(rows: &'a Rows, cost: &Cost, cuts: &[usize], k: usize, memory: f64) -> (Junction<'a>, Fit, Fit) {
    let from = if k > 0 { cuts[k - 1] } else { 0 };
    let to = cuts.get(k + 1).copied().unwrap_or(rows.len());
    let (before, after) = (cost.fit(from, cuts[k]), cost.fit(cuts[k], to));
    (Junction { rows, from, to, memory, variances: (before.variance, after.variance) }, before, after)
}

/// Cuts in the series' own rows, times and units.
fn described(series: &Series, rows: &Rows, cost: &Cost, cuts: &[usize], memory: f64) -> Vec<Changepoint> {
    let step_s = series.step_s().unwrap_or(1.0);
    let first = series.times_s().first().copied().unwrap_or(0.0);
    let describe = |k: usize| {
        let (junction, before, after) = junction(rows, cost, cuts, k, memory);
        let (x, last) = (rows.x[cuts[k]], rows.x[cuts[k] - 1]);
        // A cell of a reduced series begins half a cell before its middle.
        let reduced = rows.len() < series.len();
        let wanted = first + if reduced { (x + last) / 2.0 } else { x - 0.25 } * step_s;
        let row = series.times_s().partition_point(|t| *t < wanted);
        let level = |f: &Fit, x: f64| rows.centre + rows.scale * (f.level + f.slope * (x - f.middle));
        let per_hour = |f: &Fit| f.slope * rows.scale / step_s * 3600.0;
        let deviation = |f: &Fit| rows.scale * (f.variance / (1.0 - memory * memory)).sqrt();
        Some(Changepoint {
            at_s: *series.times_s().get(row)?,
            row,
            before: level(&before, last),
            after: level(&after, x),
            slope_before_per_hour: per_hour(&before),
            slope_after_per_hour: per_hour(&after),
            deviation_before: deviation(&before),
            deviation_after: deviation(&after),
            kind: junction.kind(cuts[k]),
        })
    };
    (0..cuts.len()).filter_map(describe).collect()
}

#[cfg(test)]
mod tests;
