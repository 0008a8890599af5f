//! Two explanations of one series fight: "healthy" and "healthy plus a leak from an onset".
//!
//! Each is fitted by least squares, twice: the second time on rows whitened by the first fit's lag-one autocorrelation, so
//! that slow noise does not pass for evidence (Prais and Winsten's remedy). The gain is the log-likelihood by which the leak
//! explains better than the best healthy growth does; being scale-free it means the same on every series.

use super::basis::{Basis, dot, subtract};
use super::design::Design;
use super::window::Window;
use crate::analyze::trend::median;

/// A fit on whitened rows is not trusted beyond this autocorrelation.
const MOST_RHO: f64 = 0.95;
/// Below this the rows need no whitening.
const LEAST_RHO: f64 = 0.05;
/// The warm-up beside a leak must explain this share of what the leak alone leaves.
const WARM_UP_SHARE: f64 = 0.02;

/// What the best explanation with a leak looks like.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fit {
    /// Log-likelihood gained over the best healthy explanation.
    pub gain: f64,
    /// The same over an explanation without any growth.
    pub gain_over_steady: f64,
    /// The same over growth that slows from the start on.
    pub gain_over_slowing: f64,
    /// The same over the best slow wave, alone and beside growth that slows from the start on.
    pub gain_over_swell: [f64; 2],
    /// The leak's slope.
    pub bytes_per_s: f64,
    /// Standard error of the slope on whitened rows.
    pub bytes_per_s_error: f64,
    /// Onset as a share of the window's span.
    pub onset: f64,
    /// Bytes leaked from the onset to the end.
    pub grown: f64,
    /// Standard deviation of what no explanation covers, bytes.
    pub residual: f64,
    /// Lag-one autocorrelation of the residuals.
    pub rho: f64,
    /// Growth in the last three quarters of the time since onset, each over what an even leak would have; 1, 1, 1 if even.
    pub evenness: [f64; 3],
    /// Bytes of slowing growth beside the leak.
    pub slowing: f64,
    /// Share of the variance that the healthy explanation covers.
    pub healthy_share: f64,
    /// Whether the best healthy growth starts later than the series.
    pub late: bool,
}

struct Choice {
    hinge: usize,
    slope: f64,
    slope_error: f64,
    slowing: Option<(usize, f64)>,
    left: f64,
    healthy_left: f64,
    steady_left: f64,
    slowing_left: f64,
    swell_left: [f64; 2],
    healthy_late: bool,
    columns: usize,
}

/// The best explanation of the window's floors with a leak; `None` when no growing hinge explains anything.
pub fn fit(window: &Window, design: &Design) -> Option<Fit> {
    let (centre, scale) = centre_and_scale(&window.low)?;
    let y: Vec<f64> = window.low.iter().map(|x| (x - centre) / scale).collect();
    let steady = steady_part(design, 0.0);
    let first = choose(&y, design, &steady, 0.0)?;
    let rest = residual(&y, design, &steady, &first);
    let rho = autocorrelation(&rest).clamp(0.0, MOST_RHO);
    let white = |rho| choose(&y, design, &steady_part(design, rho), rho);
    let second = if rho < LEAST_RHO { None } else { white(rho) };
    let Some(second) = second else { return Some(summary(window, design, &rest, &first, scale, rho)) };
    let rest = residual(&y, design, &steady, &second);
    Some(summary(window, design, &rest, &second, scale, rho))
}

/// What a healthy service does besides growing, on whitened rows.
fn steady_part(design: &Design, rho: f64) -> Basis {
    let mut steady = Basis::default();
    design.steady.iter().for_each(|c| steady.add(whitened(c, rho)));
    steady
}

fn centre_and_scale(x: &[f64]) -> Option<(f64, f64)> {
    let centre = median(&mut x.to_vec())?;
    let mut away: Vec<f64> = x.iter().map(|x| (x - centre).abs()).collect();
    let mean = away.iter().sum::<f64>() / away.len() as f64;
    let scale = median(&mut away)?.max(0.1 * mean);
    (scale > 0.0).then_some((centre, scale))
}

/// Picks hinge and, if it earns its place, slowing growth beside it, by what they leave unexplained.
fn choose(y: &[f64], design: &Design, steady: &Basis, rho: f64) -> Option<Choice> {
    let white = |x: &[f64]| whitened(x, rho);
    let rest = steady.residual(white(y));
    let apart = |columns: &[Vec<f64>]| columns.iter().map(|c| steady.apart(white(c))).collect::<Vec<_>>();
    let (slowing, late, hinges) = (apart(&design.slowing), apart(&design.late), apart(&design.hinges));
    let steady_left = dot(&rest, &rest);
    let pull = |columns: &[(Vec<f64>, f64)]| columns.iter().map(|c| dot(&c.0, &rest)).collect::<Vec<f64>>();
    let (by_slowing, by_late, by_hinge) = (pull(&slowing), pull(&late), pull(&hinges));
    let most = |pulls: &[f64]| pulls.iter().map(|p| p.max(0.0).powi(2)).fold(0.0, f64::max);
    let alone = by_hinge.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|h| h.1 > 0.0);
    let pair = best_pair(&slowing, &by_slowing, &hinges, &by_hinge);
    let left_alone = alone.map_or(steady_left, |(_, p)| steady_left - p * p);
    let (hinge, coefficient, beside, left) = match pair {
        Some((s, h, by_s, by_h, gain)) if steady_left - gain < left_alone - WARM_UP_SHARE * left_alone => {
            (h, by_h, Some((s, by_s / slowing.get(s)?.1)), steady_left - gain)
        }
        _ => (alone?.0, alone?.1, None, left_alone),
    };
    let length = hinges.get(hinge)?.1;
    let columns = steady.len();
    let freedom = (rest.len() as f64 - columns as f64 - 2.0).max(1.0);
    Some(Choice {
        hinge,
        slope: coefficient / length,
        slope_error: (left.max(0.0) / freedom).sqrt() / length,
        slowing: beside,
        left: left.max(1e-9),
        healthy_left: (steady_left - most(&by_slowing).max(most(&by_late))).max(1e-9),
        steady_left: steady_left.max(1e-9),
        slowing_left: (steady_left - most(&by_slowing)).max(1e-9),
        swell_left: left_by_swells(steady, design, &rest, rho, slowing.iter().zip(&by_slowing)),
        healthy_late: most(&by_late) > most(&by_slowing),
        columns,
    })
}

/// What the best slow wave leaves, and what it leaves beside the best growth that slows.
fn left_by_swells<'a>(
    steady: &Basis,
    design: &Design,
    rest: &[f64],
    rho: f64,
    slowing: impl Iterator<Item = (&'a (Vec<f64>, f64), &'a f64)>,
) -> [f64; 2] {
    let best = slowing.filter(|(_, pull)| **pull > 0.0).max_by(|a, b| a.1.total_cmp(b.1));
    let beside = best.map_or(rest.to_vec(), |((column, _), pull)| {
        let mut beside = rest.to_vec();
        subtract(&mut beside, *pull, column);
        beside
    });
    let mut left = [dot(rest, rest), dot(&beside, &beside)];
    for [sin, cos] in &design.swells {
        let (a, _) = steady.apart(whitened(sin, rho));
        let mut b = steady.residual(whitened(cos, rho));
        let shared = dot(&a, &b);
        subtract(&mut b, shared, &a);
        let length = dot(&b, &b).sqrt().max(1e-9);
        for (left, rest) in left.iter_mut().zip([rest, &beside[..]]) {
            let (by_a, by_b) = (dot(&a, rest), dot(&b, rest) / length);
            *left = left.min(dot(rest, rest) - by_a * by_a - by_b * by_b);
        }
    }
    left.map(|l| l.max(1e-9))
}

/// The pair of slowing growth and hinge, both rising, that explains most: their places, coefficients and the gain.
fn best_pair(
    slowing: &[(Vec<f64>, f64)],
    by_slowing: &[f64],
    hinges: &[(Vec<f64>, f64)],
    by_hinge: &[f64],
) -> Option<(usize, usize, f64, f64, f64)> {
    let mut best: Option<(usize, usize, f64, f64, f64)> = None;
    for (s, (column, bs)) in slowing.iter().zip(by_slowing).enumerate() {
        for (h, (hinge, bh)) in hinges.iter().zip(by_hinge).enumerate() {
            let shared = dot(&column.0, &hinge.0);
            let apart = (1.0 - shared * shared).max(1e-4);
            let (by_s, by_h) = ((bs - shared * bh) / apart, (bh - shared * bs) / apart);
            let gain = bs * by_s + bh * by_h;
            if by_s > 0.0 && by_h > 0.0 && best.is_none_or(|b| gain > b.4) {
                best = Some((s, h, by_s, by_h, gain));
            }
        }
    }
    best
}

/// Rows less rho times the row before.
pub(super) fn whitened(x: &[f64], rho: f64) -> Vec<f64> {
    if rho == 0.0 {
        return x.to_vec();
    }
    x.windows(2).map(|w| w[1] - rho * w[0]).collect()
}

/// What the chosen explanation leaves of the rows, which are not whitened.
fn residual(y: &[f64], design: &Design, steady: &Basis, choice: &Choice) -> Vec<f64> {
    let mut rest = y.to_vec();
    if let Some(hinge) = design.hinges.get(choice.hinge) {
        subtract(&mut rest, choice.slope, hinge);
    }
    if let Some((column, amount)) = choice.slowing.and_then(|(s, a)| Some((design.slowing.get(s)?, a))) {
        subtract(&mut rest, amount, column);
    }
    steady.residual(rest)
}

fn autocorrelation(x: &[f64]) -> f64 {
    let power = dot(x, x);
    if power <= 0.0 { 0.0 } else { dot(x.get(1..).unwrap_or(&[]), x) / power }
}

fn summary(window: &Window, design: &Design, rest: &[f64], choice: &Choice, scale: f64, rho: f64) -> Fit {
    let span = window.span_s();
    let onset = design.onsets.get(choice.hinge).copied().unwrap_or(0.0);
    let freedom = (rest.len() as f64 - choice.columns as f64).max(1.0);
    let gain = |other: f64| freedom * (other / choice.left).ln();
    let slowing = choice.slowing.and_then(|(s, a)| Some(a * design.slowing.get(s)?.last()?)).unwrap_or(0.0);
    Fit {
        gain: gain(choice.healthy_left),
        gain_over_steady: gain(choice.steady_left),
        gain_over_slowing: gain(choice.slowing_left),
        gain_over_swell: choice.swell_left.map(gain),
        bytes_per_s: choice.slope * scale / span,
        bytes_per_s_error: choice.slope_error * scale / span,
        onset,
        grown: choice.slope * (1.0 - onset) * scale,
        residual: (dot(rest, rest) / rest.len().max(1) as f64).sqrt() * scale,
        rho,
        evenness: evenness(&window.shares(), rest, choice.slope, onset),
        slowing: slowing * scale,
        healthy_share: 1.0 - choice.healthy_left / choice.steady_left,
        late: choice.healthy_late,
    }
}

/// Growth between the quarters of the time since onset, each as a share of an even leak's.
fn evenness(u: &[f64], rest: &[f64], slope: f64, onset: f64) -> [f64; 3] {
    let quarter = (1.0 - onset) / 4.0;
    let level = |k: usize| {
        let (from, to) = (onset + quarter * k as f64, onset + quarter * (k + 1) as f64);
        let inside = u.iter().zip(rest).filter(|(u, _)| (from..=to).contains(*u));
        median(&mut inside.map(|(u, r)| r + slope * (u - onset)).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    [0, 1, 2].map(|k| (level(k + 1) - level(k)) / (slope * quarter).max(1e-12))
}
