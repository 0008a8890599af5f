//! What the judge is shown of a window: some thirty numbers without a unit, so that it can weigh any series.
//!
//! Some come from the fitted explanations, some from the points themselves and trust no model. A number that cannot be had
//! (too few cycles, no growth) is [`ABSENT`], which the judge has learned as such.

use super::design::Design;
use super::fit::Fit;
use super::window::Window;
use crate::analyze::trend::{mann_kendall_hamed_rao, median};

/// Stands where a feature cannot be had.
pub const ABSENT: f64 = -99.0;
/// Points that trend tests work on; pairs grow with the square.
const TREND_POINTS: usize = 60;
const DAY_S: f64 = 86_400.0;

/// The features' names, in the order of the numbers.
pub const NAMES: [&str; 51] = [
    "log_span_h",
    "gain",
    "grown_to_residual",
    "onset",
    "even_min",
    "even_last",
    "even_second",
    "grown_to_level",
    "slope_t",
    "rho",
    "slowing_to_grown",
    "healthy_share",
    "late",
    "wild_share",
    "steps",
    "step_share",
    "cycle_share",
    "z_all",
    "z_half",
    "record_60",
    "record_80",
    "fifth_med_min",
    "fifth_med_last",
    "fifth_low_min",
    "fifth_low_last",
    "late_to_early",
    "recent_to_mean",
    "total_to_level",
    "total_to_range",
    "total_to_noise",
    "jump_1",
    "jump_3",
    "rising_share",
    "lag_min",
    "lag_median",
    "lag_last",
    "lag2_median",
    "trough",
    "log_vs_line",
    "residual_to_level",
    "log_since_h",
    "pre_range",
    "pre_slope",
    "since_line",
    "since_rising",
    "drawdown",
    "since_drawdown",
    "gain_steady",
    "gain_slowing",
    "gain_swell",
    "gain_swell_slowing",
];

/// The features of a window. `fit` is absent when no leak explains anything.
pub fn features(window: &Window, design: &Design, fit: Option<&Fit>) -> [f64; NAMES.len()] {
    let mut out = Vec::with_capacity(NAMES.len());
    let level = median(&mut window.low.clone()).unwrap_or(0.0).abs().max(1.0);
    of_fit(&mut out, window, design, fit, level);
    let thin = thinned(&window.low, TREND_POINTS);
    of_trend(&mut out, &thin);
    of_shape(&mut out, &thin, level);
    of_jumps(&mut out, &thin);
    of_cycles(&mut out, window, design, &thin);
    out.push(log_against_line(&thin));
    out.push(fit.map_or(ABSENT, |f| f.residual / level));
    of_onset(&mut out, window, fit, &thin);
    let mut all = [ABSENT; NAMES.len()];
    for (to, x) in all.iter_mut().zip(out) {
        *to = if x.is_finite() { x.clamp(-1e6, 1e6) } else { ABSENT };
    }
    all
}

fn of_fit(out: &mut Vec<f64>, window: &Window, design: &Design, fit: Option<&Fit>, level: f64) {
    let none = Fit { gain: ABSENT, onset: ABSENT, evenness: [ABSENT; 3], ..Fit::default() };
    let f = fit.unwrap_or(&none);
    let [second, third, last] = f.evenness;
    let grown = f.grown.max(1.0);
    out.push((window.span_s() / 3600.0).max(1e-3).log10());
    out.extend([f.gain, f.grown / f.residual.max(1e-6 * level), f.onset]);
    out.extend([second.min(third).min(last), last, third, f.grown / level]);
    out.extend([f.bytes_per_s / f.bytes_per_s_error.max(1e-12), f.rho, f.slowing / grown, f.healthy_share]);
    out.extend([f64::from(u8::from(f.late)), window.wild_share, window.steps.len() as f64]);
    let range = range(&window.low).max(1e-9 * level);
    out.push(window.steps.iter().map(|at| jump_at(&window.mid, *at)).sum::<f64>() / range);
    out.push(design.cycle_s.map_or(ABSENT, |c| c / window.span_s()));
}

fn jump_at(x: &[f64], at: usize) -> f64 {
    let side = |a: usize, b: usize| x.get(a..b.min(x.len())).and_then(|s| median(&mut s.to_vec())).unwrap_or(0.0);
    side(at, at + 4) - side(at.saturating_sub(4), at)
}

/// How the points behave before and since the onset.
fn of_onset(out: &mut Vec<f64>, window: &Window, fit: Option<&Fit>, thin: &[f64]) {
    let Some(f) = fit else { return out.extend([ABSENT; 11]) };
    let at = ((f.onset * thin.len() as f64) as usize).min(thin.len());
    let (before, since) = thin.split_at(at);
    let grown = f.grown.max(1e-9);
    let slope_in_points = grown / since.len().max(1) as f64;
    out.push((window.span_s() * (1.0 - f.onset) / 3600.0).max(1e-3).log10());
    let or_absent = |x: f64| if before.len() < 5 { ABSENT } else { x };
    out.extend([or_absent(range(before) / grown), or_absent(slope(before) / slope_in_points)]);
    out.extend([line_share(since), rising_share(since), drawdown(thin) / grown, drawdown(since) / grown]);
    out.extend([f.gain_over_steady, f.gain_over_slowing]);
    out.extend(f.gain_over_swell);
}

/// Share of the variance that a straight line covers.
fn line_share(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n.max(1.0);
    let whole: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    if whole > 0.0 { slope(x).powi(2) * n * (n * n - 1.0) / 12.0 / whole } else { 0.0 }
}

fn rising_share(x: &[f64]) -> f64 {
    x.windows(2).filter(|w| w[1] > w[0]).count() as f64 / x.len().saturating_sub(1).max(1) as f64
}

/// The deepest fall below what had been reached.
fn drawdown(x: &[f64]) -> f64 {
    let mut peak = f64::NEG_INFINITY;
    let mut deepest = 0.0f64;
    for x in x {
        peak = peak.max(*x);
        deepest = deepest.max(peak - x);
    }
    deepest
}

fn of_trend(out: &mut Vec<f64>, thin: &[f64]) {
    let z = |x: &[f64]| mann_kendall_hamed_rao(x).map_or(ABSENT, |m| m.z);
    out.extend([z(thin), z(thin.get(thin.len() / 2..).unwrap_or(&[]))]);
}

fn of_shape(out: &mut Vec<f64>, thin: &[f64], level: f64) {
    let n = thin.len();
    let part = |a: f64, b: f64| thin.get((a * n as f64) as usize..((b * n as f64) as usize).min(n)).unwrap_or(&[]);
    let range = range(thin).max(1e-9 * level);
    let last = med(part(0.9, 1.0));
    out.extend([(last - top(part(0.0, 0.6))) / range, (last - top(part(0.0, 0.8))) / range]);
    let fifths: Vec<&[f64]> = (0..5).map(|k| part(0.2 * f64::from(k), 0.2 * f64::from(k + 1))).collect();
    let total = growth(out, &fifths.iter().map(|f| med(f)).collect::<Vec<_>>(), level);
    growth(out, &fifths.iter().map(|f| bottom(f)).collect::<Vec<_>>(), level);
    let (early, late) = (slope(part(0.0, 0.5)), slope(part(0.5, 1.0)));
    out.push(if early.abs() > 0.0 { (early.signum() * (late / early).abs()).clamp(-9.0, 9.0) } else { ABSENT });
    let mean = total / n.max(1) as f64;
    out.push(if mean.abs() > 1e-12 * level { (slope(part(0.7, 1.0)) / mean).clamp(-50.0, 50.0) } else { ABSENT });
    let mut hops: Vec<f64> = thin.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let noise = 1.4826 * median(&mut hops).unwrap_or(0.0) + 1e-6 * level;
    out.extend([total / level, total / range, total / noise]);
}

/// Pushes the least and the last step between levels, each over the whole growth; gives the whole growth.
fn growth(out: &mut Vec<f64>, levels: &[f64], level: f64) -> f64 {
    let total = levels.last().zip(levels.first()).map_or(0.0, |(b, a)| b - a);
    let steps: Vec<f64> = levels.windows(2).map(|w| (w[1] - w[0]) / (total.abs() + 1e-9 * level)).collect();
    out.push(bottom(&steps).clamp(-99.0, 99.0));
    out.push(steps.last().copied().unwrap_or(ABSENT).clamp(-99.0, 99.0));
    total
}

/// Which share of all rises the largest make, and how many neighbours rise.
fn of_jumps(out: &mut Vec<f64>, thin: &[f64]) {
    let mut hops: Vec<f64> = thin.windows(2).map(|w| w[1] - w[0]).collect();
    hops.sort_unstable_by(|a, b| b.total_cmp(a));
    let rises: f64 = hops.iter().filter(|h| **h > 0.0).sum();
    let most = |k: usize| if rises > 0.0 { hops.iter().take(k).sum::<f64>() / rises } else { ABSENT };
    out.extend([most(1), most(3)]);
    out.push(rising_share(thin));
}

/// Growth from cycle to cycle: each point against the one a cycle earlier.
fn of_cycles(out: &mut Vec<f64>, window: &Window, design: &Design, thin: &[f64]) {
    let cycle = design.cycle_s.unwrap_or(DAY_S).max(1.0);
    let lag = cycle / window.span_s() * (thin.len() as f64 - 1.0);
    let range = range(thin).max(1e-9);
    let over = |from: f64, to: f64| lagged(thin, lag, from, to).iter().map(|d| d / range).collect::<Vec<f64>>();
    let (last, before) = (over(1.0, 0.0), over(2.0, 1.0));
    let or_absent = |x: &[f64], of: fn(&[f64]) -> f64| if x.is_empty() { ABSENT } else { of(x) };
    out.extend([or_absent(&last, bottom), or_absent(&last, med)]);
    out.push(or_absent(last.get(last.len() * 3 / 4..).unwrap_or(&[]), med));
    out.push(or_absent(&before, med));
    out.push(trough(thin, lag).map_or(ABSENT, |t| t / range));
}

/// Differences to the point `lag` earlier, over the part that begins `from` lags and ends `to` lags before the end.
fn lagged(x: &[f64], lag: f64, from: f64, to: f64) -> Vec<f64> {
    let n = x.len() as f64 - 1.0;
    let first = (n - from * lag).max(lag).ceil().max(0.0) as usize;
    let end = (n - to * lag).max(-1.0);
    let earlier = |i: usize| {
        let at = i as f64 - lag;
        let (a, b) = (x.get(at.floor() as usize)?, x.get(at.ceil() as usize)?);
        Some(a + (b - a) * at.fract())
    };
    (first..x.len()).filter(|i| *i as f64 <= end).filter_map(|i| Some(x.get(i)? - earlier(i)?)).collect()
}

/// The last cycle's lowest point less the highest of the lowest points of the cycles before.
fn trough(x: &[f64], lag: f64) -> Option<f64> {
    let width = lag.round() as usize;
    let cycles: Vec<f64> = x.rchunks_exact(width.max(1)).map(bottom).collect();
    let (last, before) = cycles.split_first()?;
    (!before.is_empty() && width >= 3).then(|| last - top(before))
}

/// How much better a logarithm explains the points than a line does: log of the ratio of what they leave.
fn log_against_line(x: &[f64]) -> f64 {
    let n = x.len().max(2) as f64;
    let left = |of: fn(f64) -> f64| {
        let mut basis = super::basis::Basis::default();
        basis.add(vec![1.0; x.len()]);
        basis.add((0..x.len()).map(|i| of(i as f64 / n)).collect());
        let rest = basis.residual(x.to_vec());
        super::basis::dot(&rest, &rest)
    };
    let (log, line) = (left(|u| (u / 0.05).ln_1p()), left(|u| u));
    if log > 0.0 && line > 0.0 { (line / log).ln() } else { 0.0 }
}

fn slope(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let square = n * (n * n - 1.0) / 12.0;
    let product: f64 = x.iter().enumerate().map(|(i, x)| (i as f64 - middle) * x).sum();
    if square > 0.0 { product / square } else { 0.0 }
}

/// Means of equal runs, at most `most` of them.
fn thinned(x: &[f64], most: usize) -> Vec<f64> {
    let run = x.len().div_ceil(most).max(1);
    x.rchunks(run).rev().map(|r| r.iter().sum::<f64>() / r.len() as f64).collect()
}

fn med(x: &[f64]) -> f64 {
    median(&mut x.to_vec()).unwrap_or(0.0)
}

fn top(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn bottom(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::INFINITY, f64::min)
}

fn range(x: &[f64]) -> f64 {
    if x.is_empty() { 0.0 } else { top(x) - bottom(x) }
}
