//! Whether a level keeps growing, from when and how fast: what an exhaustion date rests on.
//!
//! Explanations compete: none (season and steps only), something that fills up (warm-up, cache), a steady growth from some
//! onset, and both. Each is a linear fit on at most [`BLOCKS`] block medians with first-order autocorrelation taken out;
//! each weighs by its Schwarz criterion (Schwarz, 1978), and the answer is their average, not the best one's. So a growth
//! that a slow cache explains as well is half a growth, and its date is late and wide.
//!
//! It does not know what has not begun, and continues a growth as a straight line.

mod basis;
mod explanation;

use self::basis::Term;
pub(super) use self::explanation::Explanation;
use super::super::season::{self, SeasonOptions};
use super::super::trend::median;

/// Blocks that the rows are reduced to.
const BLOCKS: usize = 240;
/// Fewer blocks cannot tell a growth from a warm-up.
const FEWEST_BLOCKS: usize = 24;
const DAY_S: f64 = 86_400.0;

/// All explanations of a series that are worth a thousandth of the best, with their weights.
pub(super) struct Growth {
    /// Their weights sum to one.
    pub explanations: Vec<Explanation>,
    /// Time of the first block (a restart begins the story anew), epoch seconds.
    pub start_s: f64,
    /// First to last block, seconds.
    pub span_s: f64,
    /// Typical error of a block, in the values' units.
    pub noise: f64,
    /// Median of the last tenth of the blocks.
    pub level: f64,
    /// Longest season, seconds; 0 without one.
    pub season_s: f64,
}

struct Blocks {
    times_s: Vec<f64>,
    values: Vec<f64>,
}

/// Explains a series of even steps that ends at `end_s`. `None` if the rows since the last restart are too few.
pub(super) fn explain(values: &[f64], step_s: f64, end_s: f64) -> Option<Growth> {
    let blocks = blocks(values, step_s, end_s);
    let from = after_restart(&blocks.values);
    let (times, level) = (&blocks.times_s[from..], &blocks.values[from..]);
    let (start_s, last) = (*times.first()?, *times.last()?);
    let span_s = last - start_s;
    if level.len() < FEWEST_BLOCKS || span_s <= 0.0 {
        return None;
    }
    let periods = periods(level, span_s);
    let shares: Vec<f64> = times.iter().map(|t| (t - start_s) / span_s).collect();
    let base = base(&periods, span_s, level, &shares);
    let fitted = explanation::compete(&shares, level, &base)?;
    let tail = level.len() / 10;
    Some(Growth {
        explanations: fitted.explanations,
        start_s,
        span_s,
        noise: fitted.noise,
        level: median(&mut level[level.len() - tail.max(3)..].to_vec())?,
        season_s: periods.iter().map(|p| p.0).fold(0.0, f64::max),
    })
}

fn blocks(values: &[f64], step_s: f64, end_s: f64) -> Blocks {
    let size = (values.len() / BLOCKS).max(1);
    let count = values.len() / size;
    let rows = &values[values.len() - count * size..];
    let middle = |block: usize| end_s - step_s * ((count - block) as f64 * size as f64 - 0.5 * (size as f64 + 1.0));
    Blocks {
        times_s: (0..count).map(middle).collect(),
        values: rows.chunks(size).map(|c| median(&mut c.to_vec()).unwrap_or_default()).collect(),
    }
}

/// The block after the last fall by a third or more: a restart, before which memory tells nothing of after.
fn after_restart(values: &[f64]) -> usize {
    let mut from = 0;
    for i in 3..values.len() {
        let before = &values[from.max(i.saturating_sub(6))..i];
        let fell = before.len() >= 3 && median(&mut before.to_vec()).is_some_and(|m| values[i] < 0.62 * m);
        if fell {
            from = i;
        }
    }
    from
}

/// Seasons as (seconds, harmonics): day and week when they fit, else what the blocks show.
fn periods(values: &[f64], span_s: f64) -> Vec<(f64, usize)> {
    if span_s > 9.0 * DAY_S {
        return vec![(DAY_S, 4), (7.0 * DAY_S, 3)];
    }
    let mut out = Vec::new();
    if span_s > 1.4 * DAY_S {
        out.push((DAY_S, if span_s > 2.0 * DAY_S { 4 } else { 2 }));
    }
    let options = SeasonOptions { most: 1, least_strength: 0.3, ..SeasonOptions::default() };
    let block_s = span_s / (values.len() - 1) as f64;
    let found = season::find_in(values, &options).first().map(|s| s.period_rows * block_s);
    out.extend(found.filter(|p| *p < 0.7 * DAY_S).map(|p| (p, 3)));
    out
}

fn base(periods: &[(f64, usize)], span_s: f64, values: &[f64], shares: &[f64]) -> Vec<Term> {
    let mut terms = vec![Term::One];
    for &(period_s, harmonics) in periods {
        for k in 1..=harmonics {
            let turns = k as f64 * span_s / period_s;
            terms.extend([Term::Sine(turns), Term::Cosine(turns)]);
        }
    }
    terms.extend(explanation::steps(values).into_iter().map(|i| Term::Step(shares[i])));
    terms
}
