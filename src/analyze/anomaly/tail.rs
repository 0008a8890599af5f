//! How rare a statistic is, judged by its own history: the largest values of past blocks.
//!
//! Every statistic ends here, which is what makes a score mean the same on any series: units cancel, because only the
//! ratio to the largest value of past blocks counts. Block maxima of a positive statistic are taken as Fréchet, that is
//! Gumbel in the logarithm with scale `b`; beyond the largest of `n` blocks a block holds `z` or more with the chance
//! `(peak / z)^(1/b) / (n + 1)` (Coles, An Introduction to Statistical Modeling of Extreme Values, ch. 3). The answer is the
//! mean of −log10 of that chance over three horizons, since nobody knows how long a series stays itself.
//!
//! A value beyond the alarm level is learned only up to that level: one outage does not blind the detector to the next,
//! and a lasting change is absorbed block by block. It does not see order within a block.

use std::collections::VecDeque;
use std::f64::consts::LN_10;

use serde::{Deserialize, Serialize};

/// Blocks in each horizon: half a week, a week, three weeks of blocks of six hours. Only the last is limited by memory.
const HORIZONS: [usize; 3] = [14, 28, 80];
/// Gumbel scale of log maxima assumed before any is seen, and how many blocks that assumption is worth. A lighter prior
/// follows the series' own tail more closely, and was worse on every set: few blocks say little about a tail.
const PRIOR_SCALE: f64 = 0.30;
const PRIOR_BLOCKS: f64 = 30.0;
/// Variance of a Gumbel variable of scale one: π²/6.
const GUMBEL_VARIANCE: f64 = std::f64::consts::PI * std::f64::consts::PI / 6.0;
/// Surprise of the first value above zero after blocks that held none: rare, but there is no scale to say how rare.
const UNHEARD_OF: f64 = 4.0;
/// Closed blocks before the first answer.
const LEAST_BLOCKS: usize = 2;

/// Logarithms of the block maxima of one non-negative statistic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tail {
    logs: VecDeque<f64>,
    peaks: [f64; HORIZONS.len()],
    /// −log10 of the chance of a new peak, by horizon. Kept, as it changes only with a block and is asked for at every row.
    rarities: [f64; HORIZONS.len()],
    scale: f64,
    current: Option<f64>,
    pending: Option<f64>,
    gradual: bool,
    blocks: u32,
}

impl Tail {
    /// For a statistic that jumps: the running block counts at once, so one burst is surprising once.
    pub(super) fn sudden() -> Tail {
        let none = [0.0; HORIZONS.len()];
        Tail {
            logs: VecDeque::new(),
            peaks: none,
            rarities: none,
            scale: PRIOR_SCALE,
            current: None,
            pending: None,
            gradual: false,
            blocks: 0,
        }
    }

    /// For a statistic that creeps: the running block and the one before it do not count, or it would hide its own rise.
    pub(super) fn gradual() -> Tail {
        Tail { gradual: true, ..Tail::sudden() }
    }

    /// −log10 of the chance that a block holds `z` or more; 0 until enough blocks are known.
    pub(super) fn surprise(&self, z: f64) -> f64 {
        if z <= 0.0 || (self.blocks as usize) < LEAST_BLOCKS + 2 {
            return 0.0;
        }
        if self.logs.len() < LEAST_BLOCKS {
            return if self.current.is_none() { UNHEARD_OF } else { 0.0 };
        }
        let log = z.ln();
        let running = self.current.filter(|_| !self.gradual).unwrap_or(f64::MIN);
        let each = |(peak, rarity): (&f64, f64)| {
            let above = (log - peak.max(running)) / (self.scale * LN_10);
            (rarity + above).max(0.0)
        };
        self.peaks.iter().zip(self.rarities).map(each).sum::<f64>() / HORIZONS.len() as f64
    }

    /// The value whose surprise is `s` by the middle horizon; `None` until enough blocks are known.
    pub(super) fn level(&self, s: f64) -> Option<f64> {
        self.log_level(s).map(f64::exp)
    }

    /// Takes a value into the running block, at most as high as a surprise of `cap` allows.
    pub(super) fn learn(&mut self, z: f64, cap: f64) {
        if z <= 0.0 {
            return;
        }
        let log = self.log_level(cap).unwrap_or(f64::INFINITY).min(z.ln());
        self.current = Some(self.current.map_or(log, |c| c.max(log)));
    }

    /// Closes the running block. The first block, a start-up, is dropped.
    pub(super) fn close_block(&mut self) {
        self.blocks = self.blocks.saturating_add(1);
        let mut closed = self.current.take().filter(|_| self.blocks > 1);
        if self.gradual {
            std::mem::swap(&mut closed, &mut self.pending);
        }
        let Some(log) = closed.filter(|l| l.is_finite()) else { return };
        if self.logs.len() == HORIZONS[2] {
            self.logs.pop_front();
        }
        self.logs.push_back(log);
        self.refit();
    }

    pub(super) fn is_sound(&self) -> bool {
        self.logs.len() <= HORIZONS[2] && self.scale > 0.0
    }

    fn log_level(&self, s: f64) -> Option<f64> {
        (self.logs.len() >= LEAST_BLOCKS).then(|| self.peaks[1] + (s - self.rarities[1]) * self.scale * LN_10)
    }

    fn refit(&mut self) {
        for (peak, horizon) in self.peaks.iter_mut().zip(HORIZONS) {
            *peak = self.logs.iter().rev().take(horizon).copied().fold(f64::MIN, f64::max);
        }
        self.rarities = HORIZONS.map(|horizon| ((self.logs.len().min(horizon) + 1) as f64).log10());
        let n = self.logs.len() as f64;
        let mean = self.logs.iter().sum::<f64>() / n;
        let own = self.logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / GUMBEL_VARIANCE;
        self.scale = ((PRIOR_BLOCKS * PRIOR_SCALE.powi(2) + own) / (PRIOR_BLOCKS + n - 1.0)).sqrt();
    }
}
