//! The points a detector looks at: block floors and middles at even-ish times, spikes taken out, falls and jumps found.
//!
//! A burst or a restart's dip says nothing about a leak and would bend every fit, so points that stand far from the median
//! of their neighbours are replaced by it (Hampel's identifier). A lasting jump is kept, and reported as a step: a deploy
//! and a restart each move the level once, a leak moves it for ever.

use super::history::{Block, History};
use crate::analyze::trend::median;

/// The most points a look at the history works on.
pub const POINTS: usize = 160;
/// Fewer points than this say nothing.
pub const MIN_POINTS: usize = 24;
/// Half the width of the neighbourhood of a point, in points.
const REACH: usize = 4;
/// So many median deviations from its neighbours make a point wild.
const WILD: f64 = 5.0;
/// Steps that are modelled; more would explain away a staircase.
const MOST_STEPS: usize = 3;

/// Points in time order, all columns of one length.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Epoch seconds.
    pub times_s: Vec<f64>,
    /// Floors, spikes removed.
    pub low: Vec<f64>,
    /// Middles, spikes removed.
    pub mid: Vec<f64>,
    /// Relative load; all 0 where none is known.
    pub load: Vec<f64>,
    /// Rows at which the level jumps and stays.
    pub steps: Vec<usize>,
    /// Share of points that were wild.
    pub wild_share: f64,
}

impl Window {
    /// The history as points; `None` while there are fewer than [`MIN_POINTS`] or no time has passed.
    pub fn of(history: &History) -> Option<Window> {
        let blocks = history.blocks(POINTS);
        let column = |of: fn(&Block) -> f64| blocks.iter().map(of).collect::<Vec<f64>>();
        let times_s = column(|b| b.time_s);
        if times_s.len() < MIN_POINTS || times_s.last()? <= times_s.first()? {
            return None;
        }
        let (low, wild) = without_spikes(&column(Block::low));
        let (mid, _) = without_spikes(&column(Block::mid));
        let steps = steps(&mid);
        let wild_share = wild as f64 / low.len() as f64;
        Some(Window { times_s, low, mid, load: column(|b| b.load), steps, wild_share })
    }

    /// Points.
    pub fn len(&self) -> usize {
        self.low.len()
    }

    /// Seconds from the first point to the last.
    pub fn span_s(&self) -> f64 {
        self.times_s.first().zip(self.times_s.last()).map_or(0.0, |(a, b)| b - a)
    }

    /// Times as a share of the span, 0 to 1.
    pub fn shares(&self) -> Vec<f64> {
        let first = self.times_s.first().copied().unwrap_or(0.0);
        let span = self.span_s();
        self.times_s.iter().map(|t| (t - first) / span).collect()
    }
}

/// Replaces wild points by the median of their neighbourhood; also says how many.
fn without_spikes(x: &[f64]) -> (Vec<f64>, usize) {
    let medians: Vec<f64> = (0..x.len()).map(|i| median_of_few(near(x, i, REACH))).collect();
    let mut away: Vec<f64> = x.iter().zip(&medians).map(|(x, m)| (x - m).abs()).collect();
    let far = away.clone();
    let scale = 1.4826 * median(&mut away).unwrap_or(0.0);
    // Where most points agree with their neighbours exactly, the mean deviation still gives a scale.
    let scale = scale.max(0.25 * far.iter().sum::<f64>() / far.len().max(1) as f64);
    let wild = |i: usize| far.get(i).is_some_and(|d| *d > WILD * scale);
    let clean = x.iter().zip(&medians).enumerate().map(|(i, (x, m))| if wild(i) { *m } else { *x }).collect();
    (clean, (0..x.len()).filter(|i| wild(*i)).count())
}

/// The median of at most 2 · [`REACH`] + 1 values, without allocating: a look takes hundreds of them.
fn median_of_few(x: &[f64]) -> f64 {
    let mut few = [0.0; 2 * REACH + 1];
    let n = x.len().min(few.len());
    few[..n].copy_from_slice(&x[..n]);
    median(&mut few[..n]).unwrap_or(0.0)
}

fn near(x: &[f64], i: usize, reach: usize) -> &[f64] {
    &x[i.saturating_sub(reach)..(i + reach + 1).min(x.len())]
}

/// Rows of the largest lasting jumps of the level. A jump counts when the medians on both sides differ by much more than
/// neighbours do and than the level changes elsewhere.
fn steps(x: &[f64]) -> Vec<usize> {
    const SIDE: usize = 5;
    if x.len() < 40 {
        return Vec::new();
    }
    let side = |a: usize, b: usize| median_of_few(&x[a..b]);
    let inside = SIDE..x.len() - SIDE + 1;
    let change_at = |i: usize| (side(i, i + SIDE) - side(i - SIDE, i)).abs();
    let mut change: Vec<f64> = (0..x.len()).map(|i| if inside.contains(&i) { change_at(i) } else { 0.0 }).collect();
    let hop: Vec<f64> = x.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let threshold = step_threshold(x, &change, &hop);
    let mut found = Vec::new();
    for _ in 0..MOST_STEPS {
        let Some((at, size)) = largest(&change) else { break };
        if size < threshold {
            break;
        }
        let from = at.saturating_sub(3);
        if let Some((offset, jump)) = largest(&hop[from.min(hop.len())..(at + 3).min(hop.len())])
            && jump > 0.5 * size
        {
            found.push(from + offset + 1);
        }
        let gone = at.saturating_sub(8)..(at + 9).min(change.len());
        change[gone].iter_mut().for_each(|c| *c = 0.0);
    }
    found.sort_unstable();
    found
}

fn step_threshold(x: &[f64], change: &[f64], hop: &[f64]) -> f64 {
    let noise = 1.4826 * median(&mut hop.to_vec()).unwrap_or(0.0);
    let mut usual = change.to_vec();
    usual.sort_unstable_by(f64::total_cmp);
    let usual = usual.get(usual.len() * 4 / 5).copied().unwrap_or(0.0);
    let level = median(&mut x.to_vec()).unwrap_or(0.0).abs();
    (10.0 * noise).max(4.0 * usual).max(0.02 * level)
}

fn largest(x: &[f64]) -> Option<(usize, f64)> {
    x.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_goes_and_a_step_stays() {
        let mut x: Vec<f64> = (0..80).map(|i| if i < 40 { 100.0 } else { 150.0 } + f64::from(i % 3)).collect();
        x[20] = 900.0;
        let (clean, wild) = without_spikes(&x);
        assert!(clean[20] < 103.0 && wild >= 1, "{} {wild}", clean[20]);
        assert_eq!(steps(&clean), vec![40]);
    }

    #[test]
    fn a_staircase_is_not_all_steps() {
        let x: Vec<f64> = (0..150).map(|i| 100.0 + 10.0 * f64::from(i / 10)).collect();
        assert!(steps(&x).len() <= MOST_STEPS);
    }
}
