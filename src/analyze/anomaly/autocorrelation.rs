//! A quick look for the main period: the highest peak of the autocorrelation.
//!
//! Eager and cheap, for a baseline that is rebuilt all the time; [`crate::analyze::season`] gives the verdict that is reported. A
//! wrong period costs little here: its profile is flat, and its residuals are judged by their own history.

use super::profile::median;

/// Cells looked at.
const CELLS: usize = 1024;
const LEAST_CELLS: usize = 24;
/// Shortest lag, least height, and least rise above the lowest value before it.
const SHORTEST: usize = 4;
const LEAST_HEIGHT: f64 = 0.3;
const LEAST_RISE: f64 = 0.15;
/// Taken off the height of the longest lag, in proportion for shorter ones: of multiples the shortest wins.
const PREFER_SHORT: f64 = 0.1;
/// Departures from the line are clipped to so many robust standard deviations.
const CLIP: f64 = 5.0 * 1.4826;

/// The period in values and its height less the preference for short ones; `None` when nothing repeats.
pub(super) fn period(values: &[f64]) -> Option<(f64, f64)> {
    let merged = values.len().div_ceil(CELLS).max(1);
    let cells: Vec<f64> = values.chunks_exact(merged).map(|c| c.iter().sum::<f64>() / merged as f64).collect();
    let acf = autocorrelation(&levelled(cells)?)?;
    let longest = acf.len() - 1;
    let mut lowest = 1.0_f64;
    let mut best: Option<(f64, f64)> = None;
    for (i, around) in acf.windows(3).enumerate() {
        let &[before, here, after] = around else { continue };
        lowest = lowest.min(here);
        let lag = i + 1;
        let peak = here > before && here >= after && lag >= SHORTEST;
        let height = here - PREFER_SHORT * lag as f64 / longest as f64;
        if peak && here > LEAST_HEIGHT.max(lowest + LEAST_RISE) && best.is_none_or(|(_, b)| height > b) {
            best = Some((lag as f64 + summit(before, here, after), height));
        }
    }
    best.map(|(lag, height)| (lag * merged as f64, height))
}

/// Without the line through it and without spikes; `None` where there are too few cells or nothing varies.
fn levelled(mut cells: Vec<f64>) -> Option<Vec<f64>> {
    if cells.len() < LEAST_CELLS {
        return None;
    }
    let n = cells.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = cells.iter().sum::<f64>() / n;
    let slope = cells.iter().enumerate().map(|(i, v)| (i as f64 - middle) * (v - mean)).sum::<f64>()
        / (n * (n * n - 1.0) / 12.0);
    cells.iter_mut().enumerate().for_each(|(i, v)| *v -= mean + slope * (i as f64 - middle));
    let clip = CLIP * median(&mut cells.iter().map(|v| v.abs()).collect::<Vec<_>>());
    cells.iter_mut().for_each(|v| *v = v.clamp(-clip, clip));
    (clip > 0.0).then_some(cells)
}

/// For lags up to half the length.
fn autocorrelation(x: &[f64]) -> Option<Vec<f64>> {
    let at = |lag: usize| {
        let pairs = x.iter().zip(x.iter().skip(lag));
        pairs.map(|(a, b)| a * b).sum::<f64>() / (x.len() - lag) as f64
    };
    let variance = at(0);
    (variance > 0.0 && variance.is_finite()).then(|| (0..=x.len() / 2).map(|lag| at(lag) / variance).collect())
}

/// Where between its neighbours a parabola through three values has its top.
fn summit(before: f64, here: f64, after: f64) -> f64 {
    let bend = before - 2.0 * here + after;
    if bend < -1e-12 { 0.5 * (before - after) / bend } else { 0.0 }
}
