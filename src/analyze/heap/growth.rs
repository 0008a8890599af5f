//! Whether what a site retains grows, still grows, and never leaves: the tests behind a verdict.
//!
//! Counts are in samples: retained bytes divided by what a sample stands for. Blocks that become old enough arrive, blocks that
//! are freed leave; their difference over a stretch of time is the *net*. Four questions are asked:
//!
//! 1. *Growth*: is the mean net of equal stretches above 0, against their own scatter, which is at least Poisson's?
//! 2. *Still*: over the last third, sixth and twelfth, did as much arrive as the rate before makes one expect? A cache at its cap,
//!    a warm-up that is over, a plateau of a time-to-live fail here (the lower tail of the Poisson distribution).
//! 3. *Straight*: does the curve bend like one that saturates?
//! 4. *Staying*: of what was born since the onset, does the oldest or the middle third survive as well as the youngest? What is
//!    only passed on slowly, under growing traffic, fails here; a queue whose consumer lags loses its oldest and passes.

use statrs::function::gamma::gamma_ur;

use super::retained::Retained;

/// Equal stretches that the window is cut into for the first question.
const STRETCHES: usize = 12;
/// Trailing parts of the window for the second question.
const TRAILING: [f64; 3] = [1.0 / 3.0, 1.0 / 6.0, 1.0 / 12.0];
/// Samples expected in a trailing part below which it says nothing.
const LEAST_EXPECTED: f64 = 4.0;

/// The answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Net samples that were added since the onset.
    pub net_samples: f64,
    /// Mean net of the stretches over its standard error.
    pub t: f64,
    /// Variance of the nets over Poisson's; at least 1.
    pub dispersion: f64,
    /// Share of the stretches since the onset that grew.
    pub rising: f64,
    /// The smallest chance, over the trailing parts, to see so little arrive if growth went on as before.
    pub still: f64,
    /// Net of the last third over what the mean rate makes one expect.
    pub recent_ratio: f64,
    /// Share of the squared deviation from a straight line that a saturating curve explains.
    pub bend: f64,
    /// Survival of the oldest or middle third of births since the onset, whichever is better, over that of the youngest third;
    /// `None` with too few samples.
    pub staying: Option<f64>,
    /// When it began, epoch seconds.
    pub onset_s: f64,
    /// Bytes a second since the onset: estimate, lower and upper end of a 95 % interval.
    pub rate: [f64; 3],
}

/// Answers for one window. `None` when nothing is retained or nothing was added.
pub fn growth(r: &Retained) -> Option<Growth> {
    let counts: Vec<f64> = r.bytes.iter().map(|b| b / r.bytes_per_sample).collect();
    let onset = onset(&counts);
    let grown = counts.get(onset..)?;
    let net = grown.last()? - grown.first()?;
    if grown.len() < 4 || net <= 0.0 {
        return None;
    }
    let nets = nets(grown, STRETCHES.min(grown.len() - 1));
    let mean = net / nets.len() as f64;
    let scatter = nets.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / (nets.len() - 1).max(1) as f64;
    let dispersion = (scatter / mean.max(1e-9)).max(1.0);
    let t = mean / (scatter.max(mean) / nets.len() as f64).sqrt();
    let (still, recent_ratio) = still(grown, dispersion);
    let seconds = r.step_s() * (grown.len() - 1) as f64;
    let error = 1.96 * (dispersion * net).sqrt();
    let rate = |samples: f64| samples * r.bytes_per_sample / seconds;
    let onset_s = r.from_s + onset as f64 * r.step_s() - r.age_s;
    Some(Growth {
        net_samples: net,
        t,
        dispersion,
        rising: nets.iter().filter(|n| **n > 0.0).count() as f64 / nets.len() as f64,
        still,
        recent_ratio,
        bend: bend(grown),
        staying: staying(r, onset_s),
        onset_s,
        rate: [rate(net), rate(net - error), rate(net + error)],
    })
}

/// Differences over `parts` equal stretches, by interpolation between grid points.
fn nets(counts: &[f64], parts: usize) -> Vec<f64> {
    let last = (counts.len() - 1) as f64;
    let at = |part: usize| interpolate(counts, last * part as f64 / parts as f64);
    (0..parts).map(|p| at(p + 1) - at(p)).collect()
}

fn interpolate(counts: &[f64], at: f64) -> f64 {
    let i = (at.floor().max(0.0) as usize).min(counts.len() - 1);
    let next = counts.get(i + 1).unwrap_or(&counts[i]);
    counts[i] + (next - counts[i]) * (at - i as f64)
}

/// Where a level that then rises in a straight line fits best; 0 when it rises from the start.
fn onset(counts: &[f64]) -> usize {
    let n = counts.len();
    let latest = n * 3 / 4;
    let cost = |start: usize| -> f64 {
        let level = counts[..=start].iter().sum::<f64>() / (start + 1) as f64;
        let x = |i: usize| (i.saturating_sub(start)) as f64;
        let (mut xy, mut xx) = (0.0, 0.0);
        for (i, c) in counts.iter().enumerate() {
            xy += x(i) * (c - level);
            xx += x(i) * x(i);
        }
        let slope = if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
        counts.iter().enumerate().map(|(i, c)| (c - level - slope * x(i)).powi(2)).sum()
    };
    let from_start = cost(0);
    let best = (1..latest).map(|s| (s, cost(s))).min_by(|a, b| a.1.total_cmp(&b.1));
    // A later onset must explain a good part of what the straight line leaves, else every curve gets one.
    best.filter(|(_, c)| *c < 0.5 * from_start).map_or(0, |(s, _)| s)
}

/// The second question: the smallest lower-tail chance over the trailing parts, and the last third's net over its expectation.
fn still(counts: &[f64], dispersion: f64) -> (f64, f64) {
    let last = (counts.len() - 1) as f64;
    let end = counts[counts.len() - 1];
    let (mut least, mut ratio) = (1.0f64, 1.0);
    for share in TRAILING {
        let cut = last * (1.0 - share);
        let (before, after) = (interpolate(counts, cut) - counts[0], end - interpolate(counts, cut));
        let expected = before / (1.0 - share) * share;
        if share == TRAILING[0] {
            ratio = if expected > 0.0 { after / expected } else { 1.0 };
        }
        if expected / dispersion >= LEAST_EXPECTED {
            least = least.min(poisson_at_most(after.max(0.0) / dispersion, expected / dispersion));
        }
    }
    (least, ratio)
}

/// P(X ≤ k) for a Poisson variable of mean `expected`, continued to real k by the incomplete gamma function.
fn poisson_at_most(k: f64, expected: f64) -> f64 {
    if expected <= 0.0 {
        return 1.0;
    }
    gamma_ur(k + 1.0, expected)
}

/// The third question: how much better 1 − e^(−x/τ) fits than a straight line, over a few τ; 0 not at all, 1 wholly.
fn bend(counts: &[f64]) -> f64 {
    let n = counts.len();
    let x = |i: usize| i as f64 / (n - 1) as f64;
    let fit = |curve: &dyn Fn(f64) -> f64| -> f64 {
        // Least squares of level + gain · curve, gain not negative.
        let ys: Vec<f64> = (0..n).map(|i| curve(x(i))).collect();
        let (mc, my) = (mean(counts), mean(&ys));
        let cross: f64 = ys.iter().zip(counts).map(|(y, c)| (y - my) * (c - mc)).sum();
        let own: f64 = ys.iter().map(|y| (y - my).powi(2)).sum();
        let gain = if own > 0.0 { (cross / own).max(0.0) } else { 0.0 };
        ys.iter().zip(counts).map(|(y, c)| (c - mc - gain * (y - my)).powi(2)).sum()
    };
    let straight = fit(&|x| x);
    let curved = [0.1, 0.2, 0.35, 0.6].into_iter().map(|tau| fit(&|x: f64| 1.0 - (-x / tau).exp()));
    let best = curved.fold(f64::INFINITY, f64::min);
    if straight > 0.0 { (1.0 - best / straight).max(0.0) } else { 0.0 }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The fourth question. Births of the last `age_s` are left out, as some of them are still churn.
fn staying(r: &Retained, onset_s: f64) -> Option<f64> {
    let until = r.to_s - r.age_s;
    let since: Vec<_> =
        r.cohorts.iter().filter(|c| c.born_from_s >= onset_s - 1e-6 && c.born_to_s <= until + 1e-6).collect();
    let span = until - onset_s;
    let part = |from: f64, to: f64| {
        let within = |c: &&&crate::snapshot::Cohort| {
            let middle = (c.born_from_s + c.born_to_s) / 2.0 - onset_s;
            (from * span..to * span).contains(&middle)
        };
        since
            .iter()
            .filter(within)
            .fold((0.0, 0.0, 0u32), |(live, all, n), c| (live + c.live_bytes, all + c.allocated_bytes, n + c.samples))
    };
    let thirds = [part(0.0, 1.0 / 3.0), part(1.0 / 3.0, 2.0 / 3.0), part(2.0 / 3.0, 1.01)];
    if thirds.iter().any(|(_, _, samples)| *samples < 5) || thirds[2].0 <= 0.0 {
        return None;
    }
    let survival = thirds.map(|(live, all, _)| live / all);
    Some(survival[0].max(survival[1]) / survival[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retained(f: impl Fn(f64) -> f64) -> Retained {
        let bytes = (0..super::super::retained::GRID).map(|i| 1000.0 * f(i as f64 / 47.0)).collect();
        Retained { from_s: 0.0, to_s: 47.0, age_s: 5.0, bytes, bytes_per_sample: 1000.0, cohorts: vec![] }
    }

    #[test]
    fn a_straight_rise_is_growth_that_goes_on() {
        let g = growth(&retained(|x| 100.0 * x)).unwrap();
        assert!(g.t > 8.0 && g.still > 0.4 && g.bend < 0.05 && g.rising == 1.0, "{g:?}");
        assert!((g.rate[0] - 1000.0 * 100.0 / 47.0).abs() < 1e-6);
        assert!(g.rate[1] < g.rate[0] && g.rate[0] < g.rate[2]);
        assert_eq!(g.onset_s, -5.0);
    }

    #[test]
    fn a_plateau_is_not() {
        let g = growth(&retained(|x| 100.0 * x.min(0.8) / 0.8)).unwrap();
        assert!(g.still < 1e-4, "{g:?}");
        assert_eq!(growth(&retained(|_| 50.0)), None);
        assert_eq!(growth(&retained(|x| 50.0 - x)), None);
    }

    #[test]
    fn a_saturating_curve_bends() {
        let g = growth(&retained(|x| 200.0 * (1.0 - (-x / 0.3).exp()))).unwrap();
        assert!(g.bend > 0.8, "{g:?}");
    }

    #[test]
    fn a_late_onset_is_found() {
        let g = growth(&retained(|x| 10.0 + 100.0 * (x - 0.5).max(0.0))).unwrap();
        assert!((g.onset_s - (23.5 - 5.0)).abs() < 2.0, "{g:?}");
    }
}
