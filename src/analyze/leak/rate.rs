//! How fast a leak grows and since when, with an interval.
//!
//! That a series leaks and how fast are two questions. Here every onset on a fine grid, with and without growth that slows
//! beside the leak, is fitted; each counts by its likelihood less a penalty for its parameters (Schwarz's criterion), and the
//! spread between them widens the interval, since an unsure onset is an unsure rate. Upward steps that come in numbers are
//! the leak itself, a staircase, and are not explained away.

use super::basis::{Basis, dot};
use super::design::{Design, hinge};
use super::fit::{Fit, whitened};
use super::look::Look;

/// Half-width of a 90 % interval in standard errors.
const INTERVAL_Z: f64 = 1.645;
/// Distance of the onsets tried, as a share of the span.
const ONSET_STEP: f64 = 0.03;
/// The latest onset tried: later, too little of the leak is seen.
const LATEST_ONSET: f64 = 0.84;

/// Healthy growth beside a leak that at the end still rises at more than this share of its mean pace could be the leak.
const MOST_STILL_RISING: f64 = 0.3;

/// A leak's growth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Bytes per second.
    pub per_s: f64,
    /// Lower end of the 90 % interval.
    pub lower_per_s: f64,
    /// Upper end of the 90 % interval.
    pub upper_per_s: f64,
    /// Epoch seconds at which it began.
    pub onset_s: f64,
    /// Bytes since then.
    pub leaked_bytes: f64,
}

/// One explanation of the window: slope per share of the span, its variance, onset, and log-likelihood less penalty.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    slope: f64,
    variance: f64,
    onset: f64,
    score: f64,
}

/// The rate of the leak in a window, averaged over its explanations; the fit's own where none grows.
pub fn estimate(look: &Look, fit: &Fit) -> Rate {
    let candidates = candidates(look, fit.rho);
    let span = look.window.span_s();
    let best = candidates.iter().map(|c| c.score).fold(f64::NEG_INFINITY, f64::max);
    let weigh = |c: &Candidate| (c.score - best).exp();
    let all: f64 = candidates.iter().map(weigh).sum();
    let mean = |of: &dyn Fn(&Candidate) -> f64| candidates.iter().map(|c| weigh(c) * of(c)).sum::<f64>() / all;
    let start = look.window.times_s.first().copied().unwrap_or(0.0);
    if candidates.is_empty() {
        let sd = fit.bytes_per_s_error;
        return rate(fit.bytes_per_s, sd, start + fit.onset * span, fit.grown);
    }
    let slope = mean(&|c| c.slope);
    let onset = mean(&|c| c.onset);
    let variance = mean(&|c| c.variance + (c.slope - slope).powi(2));
    rate(slope / span, variance.sqrt() / span, start + onset * span, mean(&|c| c.slope * (1.0 - c.onset)))
}

fn rate(per_s: f64, sd: f64, onset_s: f64, leaked_bytes: f64) -> Rate {
    let half = INTERVAL_Z * sd;
    Rate { per_s, lower_per_s: (per_s - half).max(0.0), upper_per_s: per_s + half, onset_s, leaked_bytes }
}

fn candidates(look: &Look, rho: f64) -> Vec<Candidate> {
    let u = look.window.shares();
    let white = |x: &[f64]| whitened(x, rho);
    let mut steady = Basis::default();
    steady_columns(look).iter().for_each(|c| steady.add(white(c)));
    let rest = steady.residual(white(&look.window.low));
    let bends = look.design.slowing.iter().filter(|c| still_rising(c, &u) < MOST_STILL_RISING);
    let slowing: Vec<(Vec<f64>, f64)> = bends.map(|c| steady.apart(white(c))).collect();
    let mut out = Vec::new();
    let steps = (LATEST_ONSET / ONSET_STEP) as u32;
    for onset in (0..=steps).map(|k| f64::from(k) * ONSET_STEP) {
        let (direction, length) = steady.apart(white(&hinge(&u, onset)));
        let taken = steady.len() + usize::from(onset > 0.0);
        let one = Setting { rest: &rest, direction: &direction, length, onset, taken };
        out.extend(one.alone());
        out.extend(slowing.iter().filter(|s| s.1 > 0.0).filter_map(|s| one.beside(&s.0)));
    }
    out
}

/// A column's pace in its last tenth over its mean pace: 1 for a line.
fn still_rising(column: &[f64], u: &[f64]) -> f64 {
    let from = column.len() * 9 / 10;
    let pace = |i: usize, j: usize| {
        let pair = |x: &[f64]| Some(x.get(j)? - x.get(i)?);
        pair(column).zip(pair(u)).map_or(1.0, |(rise, run)| rise / run.max(1e-9))
    };
    let last = column.len().saturating_sub(1);
    pace(from, last) / pace(0, last).max(1e-9)
}

/// A hinge orthogonal to what is steady, before growth that slows is put beside it.
struct Setting<'a> {
    rest: &'a [f64],
    direction: &'a [f64],
    length: f64,
    onset: f64,
    taken: usize,
}

impl Setting<'_> {
    fn alone(&self) -> Option<Candidate> {
        let pull = dot(self.direction, self.rest);
        self.candidate(pull, dot(self.rest, self.rest) - pull * pull, 1.0, self.taken + 1)
    }

    fn beside(&self, slowing: &[f64]) -> Option<Candidate> {
        let shared = dot(slowing, self.direction);
        let apart = 1.0 - shared * shared;
        let (by_slowing, by_hinge) = (dot(slowing, self.rest), dot(self.direction, self.rest));
        let amount = (by_slowing - shared * by_hinge) / apart;
        let pull = (by_hinge - shared * by_slowing) / apart;
        let left = dot(self.rest, self.rest) - by_slowing * amount - by_hinge * pull;
        if amount > 0.0 && apart > 1e-3 { self.candidate(pull, left, apart, self.taken + 3) } else { None }
    }

    fn candidate(&self, pull: f64, left: f64, apart: f64, parameters: usize) -> Option<Candidate> {
        let rows = self.rest.len() as f64;
        let left = left.max(1e-12 * dot(self.rest, self.rest)).max(f64::MIN_POSITIVE);
        let freedom = (rows - parameters as f64).max(1.0);
        (pull > 0.0 && self.length > 0.0).then(|| Candidate {
            slope: pull / self.length,
            variance: left / freedom / apart / self.length.powi(2),
            onset: self.onset,
            score: -0.5 * rows * left.ln() - 0.5 * parameters as f64 * rows.ln(),
        })
    }
}

/// The steady columns, without upward steps where there are several: those are a staircase.
fn steady_columns(look: &Look) -> Vec<Vec<f64>> {
    let mut window = look.window.clone();
    let rises = |at: usize| {
        look.window.mid.get(at).zip(at.checked_sub(1).and_then(|b| look.window.mid.get(b))).is_some_and(|(a, b)| a > b)
    };
    if window.steps.iter().filter(|at| rises(**at)).count() > 1 {
        window.steps.retain(|at| !rises(*at));
    }
    Design::steady_of(&window, look.design.cycle_s)
}
