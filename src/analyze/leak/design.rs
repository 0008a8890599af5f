//! The columns with which a series is explained: what a healthy service does, and what a leak adds.
//!
//! Healthy: a level, days and weeks, a dominating cycle, load, lasting steps, and growth that slows (warm-up, a cache that
//! fills, from the start or from a deploy on). A leak: growth from an onset that does not slow (a hinge). Columns are over
//! the share of the window's span, so one set serves minutes and months.

use std::f64::consts::TAU;

use super::period;
use super::window::Window;

const DAY_S: f64 = 86_400.0;
/// A cycle is modelled once this many of it are in the window; fewer and it cannot be told from growth.
const CYCLES_NEEDED: f64 = 1.5;
/// Time constants of growth that slows, as shares of the span.
const SLOWING: [f64; 7] = [0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0];
/// Onsets of growth that slows later than the start, and its time constants as shares of what remains.
const LATE_SLOWING: ([f64; 6], [f64; 2]) = ([0.1, 0.22, 0.35, 0.48, 0.6, 0.72], [0.1, 0.4]);
/// Onsets of leaks tried, as shares of the span.
const ONSETS: [f64; 14] = [0.0, 0.08, 0.14, 0.2, 0.26, 0.32, 0.38, 0.44, 0.5, 0.56, 0.62, 0.68, 0.74, 0.8];

/// Cycles of slow waves in the window.
const SWELLS: [f64; 5] = [0.35, 0.5, 0.7, 1.0, 1.35];

/// The columns, grouped by what they stand for.
#[derive(Debug, Clone)]
pub struct Design {
    /// What a healthy service does besides growing.
    pub steady: Vec<Vec<f64>>,
    /// Growth from the start that slows.
    pub slowing: Vec<Vec<f64>>,
    /// Growth from a later time that slows.
    pub late: Vec<Vec<f64>>,
    /// Growth that goes on, one column an onset.
    pub hinges: Vec<Vec<f64>>,
    /// The onsets of the hinges, shares of the span.
    pub onsets: Vec<f64>,
    /// Slow waves of which less than a cycle or two is in the window, as pairs of sine and cosine: a load that happens to rise.
    pub swells: Vec<[Vec<f64>; 2]>,
    /// The dominating cycle, seconds.
    pub cycle_s: Option<f64>,
}

impl Design {
    /// The columns for a window.
    pub fn of(window: &Window) -> Design {
        let u = window.shares();
        let cycle_s = dominating_cycle(window);
        Design {
            steady: Design::steady_of(window, cycle_s),
            slowing: slowing(&u),
            late: late(&u),
            hinges: ONSETS.iter().map(|o| hinge(&u, *o)).collect(),
            onsets: ONSETS.to_vec(),
            swells: SWELLS.iter().map(|cycles| swell(&u, *cycles)).collect(),
            cycle_s,
        }
    }

    /// What a healthy service does besides growing, for a window and its dominating cycle.
    pub fn steady_of(window: &Window, cycle_s: Option<f64>) -> Vec<Vec<f64>> {
        steady(window, &window.shares(), cycle_s)
    }
}

/// max(0, u − onset).
pub fn hinge(u: &[f64], onset: f64) -> Vec<f64> {
    u.iter().map(|u| (u - onset).max(0.0)).collect()
}

fn swell(u: &[f64], cycles: f64) -> [Vec<f64>; 2] {
    let (sin, cos) = u.iter().map(|u| (TAU * cycles * u).sin_cos()).unzip();
    [sin, cos]
}

fn slowing(u: &[f64]) -> Vec<Vec<f64>> {
    let exponential = SLOWING.iter().map(|q| u.iter().map(|u| 1.0 - (-u / q).exp()).collect());
    let logarithmic = [0.02, 0.1, 0.4].iter().map(|q| u.iter().map(|u| (u / q).ln_1p()).collect());
    exponential.chain(logarithmic).chain([u.iter().map(|u| u.max(0.0).sqrt()).collect()]).collect()
}

fn late(u: &[f64]) -> Vec<Vec<f64>> {
    let (onsets, constants) = LATE_SLOWING;
    let column = |o: f64, q: f64| u.iter().map(|u| 1.0 - (-(u - o).max(0.0) / (q * (1.0 - o))).exp()).collect();
    onsets.iter().flat_map(|o| constants.iter().map(move |q| column(*o, *q))).collect()
}

fn steady(window: &Window, u: &[f64], cycle_s: Option<f64>) -> Vec<Vec<f64>> {
    let span = window.span_s();
    let mut out = vec![vec![1.0; u.len()]];
    if span > CYCLES_NEEDED * DAY_S {
        waves(&mut out, u, span / DAY_S, if span > 2.0 * DAY_S { 4 } else { 1 });
    }
    if span > 9.0 * DAY_S {
        waves(&mut out, u, span / (7.0 * DAY_S), 3);
    }
    if let Some(cycle_s) = cycle_s {
        waves(&mut out, u, span / cycle_s, 2);
    }
    if window.load.iter().any(|l| *l != 0.0) {
        out.push(window.load.clone());
    }
    out.extend(window.steps.iter().map(|at| (0..u.len()).map(|i| f64::from(u8::from(i >= *at))).collect()));
    out
}

/// Sine and cosine of `harmonics` multiples of a wave that fits `cycles` times.
fn waves(out: &mut Vec<Vec<f64>>, u: &[f64], cycles: f64, harmonics: usize) {
    let base: Vec<(f64, f64)> = u.iter().map(|u| (TAU * cycles * u).sin_cos()).collect();
    let mut now = base.clone();
    for _ in 0..harmonics {
        out.push(now.iter().map(|w| w.0).collect());
        out.push(now.iter().map(|w| w.1).collect());
        for (w, b) in now.iter_mut().zip(&base) {
            *w = (w.0 * b.1 + w.1 * b.0, w.1 * b.1 - w.0 * b.0);
        }
    }
}

/// The dominating cycle, unless it is the day that is modelled anyway.
fn dominating_cycle(window: &Window) -> Option<f64> {
    let cycle_s = period::dominant(&window.low)? * window.span_s() / (window.len() as f64 - 1.0).max(1.0);
    let is_day = window.span_s() > CYCLES_NEEDED * DAY_S && (cycle_s / DAY_S - 1.0).abs() < 0.15;
    (!is_day).then_some(cycle_s)
}
