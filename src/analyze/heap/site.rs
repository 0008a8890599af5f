//! From the answers about a site's growth to a finding: a claim, how sure it is, and what would refute it.

use std::sync::Arc;

use super::growth::{Growth, growth};
use super::retained::Retained;
use super::single::{Doubling, doubling};
use super::words;
use crate::analyze::severity::{Severity, Thresholds};
use crate::snapshot::{Frame, Origin, Site, SiteHistory};

/// Confidence from which growth is called a leak. Lower: leaks are named some samples earlier, and more that is none.
pub const LEAK_FROM: f64 = 0.6;
/// Retained samples below which nothing is said.
const LEAST_SAMPLES: f64 = 6.0;
/// Seconds of history below which nothing is said.
const LEAST_SECONDS: f64 = 8.0;
/// A shorter window is looked at only if it is at least so long, seconds.
const LEAST_WINDOW_S: f64 = 60.0;
/// Confidence in a single block that keeps doubling: its steps are few.
const DOUBLING_CONFIDENCE: f64 = 0.7;

/// What is said of one site.
#[derive(Debug, Clone)]
pub struct SiteFinding {
    /// Which site.
    pub site: Arc<Site>,
    /// Whether it is called a leak: confidence of at least [`LEAK_FROM`].
    pub leak: bool,
    /// 0–1.
    pub confidence: f64,
    /// Bytes an hour: estimate, lower and upper end of a 95 % interval.
    pub rate_bytes_per_hour: [f64; 3],
    /// When it began, epoch seconds.
    pub onset_s: Option<f64>,
    /// `linear`, `accelerating`, `saturating`, `step`, `flat`.
    pub shape: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Share of the growth of the process that it explains, 0–1.
    pub share_of_growth: f64,
    /// Index into the site's stack of the frame that is responsible.
    pub responsible_frame: Option<usize>,
    /// What speaks for it, sentences.
    pub evidence: Vec<String>,
    /// What would refute it, a sentence.
    pub refuted_by: String,
    /// What to do next, a sentence.
    pub advice: String,
}

/// A window of the history, and the age from which a block counts as retained in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Start, epoch seconds.
    pub from_s: f64,
    /// End, epoch seconds.
    pub to_s: f64,
    /// The age, seconds.
    pub age_s: f64,
}

/// Windows to look at, the whole first, then ever shorter recent ones; with those of `history_ages` (increasing) that can be told
/// in each, largest first.
/// Of the time only the part counts in which blocks could have reached the age.
pub fn windows(start_s: f64, now_s: f64, history_ages: &[f64]) -> Vec<Vec<Window>> {
    let whole = now_s - start_s;
    let lengths = std::iter::successors(Some(whole), |w| Some(w / 4.0)).take(6);
    let lengths = lengths.enumerate().filter(|(i, w)| *i == 0 || *w >= LEAST_WINDOW_S);
    lengths
        .map(|(_, length)| {
            let ages = history_ages.iter().rev().filter(|age| **age <= length / 3.0);
            let from = now_s - length;
            ages.map(|age| Window { from_s: from.max(start_s + age), to_s: now_s, age_s: *age }).collect()
        })
        .collect()
}

/// What the site retains in the first of these windows in which it retains enough to say something.
pub fn retained(history: &SiteHistory, windows: &[Window]) -> Option<Retained> {
    let mut found = windows.iter().filter_map(|w| Retained::of(history, w.age_s, w.from_s, w.to_s));
    found.find(|r| r.samples() >= LEAST_SAMPLES)
}

/// How sure it is that this growth is a leak, 0–1.
///
/// Each question gives a factor. The shapes are monotone ramps: how many standard errors the growth is above none, how many
/// samples it rests on, whether it goes on, bends, and stays. The ramps' ends were set on generated processes (tests/zoo).
pub fn confidence(g: &Growth) -> f64 {
    let ramp = |x: f64, from: f64, to: f64| ((x - from) / (to - from)).clamp(0.0, 1.0);
    let grows = 1.0 - (-(g.t - 1.5).max(0.0) / 1.2).exp();
    let samples = 1.0 - (-g.net_samples / g.dispersion / 4.0).exp();
    let still = ramp(g.still.log10(), -3.5, -1.7);
    let recent = ramp(g.recent_ratio, 0.2, 0.5);
    let rising = ramp(g.rising, 0.35, 0.6);
    let straight = 1.0 - ramp(g.bend, 0.5, 0.9) * (1.0 - ramp(g.recent_ratio, 0.5, 0.9));
    let stays = g.staying.map_or(1.0, |s| ramp(s, 0.15, 0.5));
    grows * samples * still * recent * rising * straight * stays
}

/// The finding on one site; `None` when too little is known of it, or it does not grow.
pub fn finding(site: &Arc<Site>, start_s: f64, now_s: f64, thresholds: &Thresholds) -> Option<SiteFinding> {
    if now_s - start_s < LEAST_SECONDS {
        return None;
    }
    let ages: Vec<f64> = site.history.aged.iter().map(|a| a.min_age_s).collect();
    let steady = windows(start_s, now_s, &ages)
        .iter()
        .filter_map(|ages| judged(retained(&site.history, ages)?))
        .max_by(by_confidence);
    let single = doubling(site, now_s).filter(|_| steady.as_ref().is_none_or(|(_, _, c)| *c < LEAK_FROM));
    match (steady, single) {
        (_, Some(d)) => Some(of_doubling(site, &d, now_s, thresholds)),
        (Some((r, g, confidence)), None) => Some(of_growth(site, &r, &g, confidence, thresholds)),
        (None, None) => None,
    }
}

/// Growth with its confidence.
pub fn judged(r: Retained) -> Option<(Retained, Growth, f64)> {
    let g = growth(&r)?;
    let confidence = confidence(&g);
    Some((r, g, confidence))
}

/// Orders by the confidence of [`judged`].
pub fn by_confidence(a: &(Retained, Growth, f64), b: &(Retained, Growth, f64)) -> std::cmp::Ordering {
    a.2.total_cmp(&b.2)
}

/// The finding for a growth that was judged.
pub fn of_growth(site: &Arc<Site>, r: &Retained, g: &Growth, confidence: f64, thresholds: &Thresholds) -> SiteFinding {
    let rate = g.rate.map(|per_s| per_s * 3600.0);
    let leaked = g.net_samples * r.bytes_per_sample;
    let leak = confidence >= LEAK_FROM;
    let mut evidence = vec![format!(
        "retains {} for longer than {}; {} of it came in the last {}",
        words::bytes(r.bytes.last().copied().unwrap_or(0.0)),
        words::duration(r.age_s),
        words::bytes(leaked),
        words::duration(r.to_s - g.onset_s - r.age_s),
    )];
    evidence.push(format!(
        "growth is {:.1} standard errors above none, on {:.0} samples; the last third of the time brought {} of what the mean rate predicts",
        g.t,
        g.net_samples,
        words::percent(g.recent_ratio),
    ));
    if let Some(staying) = g.staying {
        evidence.push(format!(
            "what it allocated long ago survives {} as well as what it allocated lately",
            words::percent(staying.min(1.0))
        ));
    }
    let refuted_by = format!(
        "live bytes of this site older than {} level or falling for {}",
        words::duration(r.age_s),
        words::duration((r.to_s - r.from_s) / 3.0)
    );
    SiteFinding {
        site: site.clone(),
        leak,
        confidence,
        rate_bytes_per_hour: rate,
        onset_s: Some(g.onset_s),
        shape: shape(g),
        severity: if leak { thresholds.severity(leaked, rate[0]) } else { Severity::None },
        share_of_growth: 0.0,
        responsible_frame: responsible(site),
        evidence,
        refuted_by,
        advice: advice(site),
    }
}

fn of_doubling(site: &Arc<Site>, d: &Doubling, now_s: f64, thresholds: &Thresholds) -> SiteFinding {
    let per_hour = d.bytes_per_s * 3600.0;
    let live = site.usage.live_bytes.value;
    SiteFinding {
        site: site.clone(),
        leak: true,
        confidence: DOUBLING_CONFIDENCE,
        // A step of two: between the last resize and the next the elements fill from half to all of the block.
        rate_bytes_per_hour: [per_hour, per_hour / 2.0, per_hour * 2.0],
        onset_s: Some(d.onset_s),
        shape: "step",
        severity: thresholds.severity(live, per_hour),
        share_of_growth: 0.0,
        responsible_frame: responsible(site),
        evidence: vec![format!(
            "one block was resized {} times in {} and is now {}; the resizes go on as under steady pushes",
            d.jumps,
            words::duration(now_s - d.onset_s),
            words::bytes(live)
        )],
        refuted_by: format!("no further resize within {}", words::duration(2.0 * (now_s - d.onset_s))),
        advice: advice(site),
    }
}

fn shape(g: &Growth) -> &'static str {
    match () {
        () if g.still < 1e-3 || g.recent_ratio < 0.2 => "flat",
        () if g.bend > 0.5 && g.recent_ratio < 0.7 => "saturating",
        () if g.recent_ratio > 1.6 => "accelerating",
        () if g.dispersion > 20.0 => "step",
        () => "linear",
    }
}

fn advice(site: &Site) -> String {
    let frame = responsible(site).and_then(|i| site.stack.get(i));
    let place = frame.map_or("this site".into(), |f| match (&f.file, f.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => f.function.to_string(),
    });
    match &site.type_name {
        Some(name) => {
            format!("find what keeps the {name} allocated at {place} reachable, and bound it or let it expire")
        }
        None => format!("find what keeps the memory allocated at {place} reachable, and bound it or let it expire"),
    }
}

/// Methods that make a value from another, mostly derived: who asked for the copy is responsible, not the copying.
const CONVERSIONS: [&str; 13] = [
    "clone",
    "clone_from",
    "default",
    "from",
    "into",
    "from_iter",
    "extend",
    "to_owned",
    "to_string",
    "fmt",
    "deserialize",
    "visit_map",
    "visit_seq",
];

/// The first frame of the application's own code, else the first that asked for memory, else the first. A conversion gives way
/// to the application's code that called for it.
pub fn responsible(site: &Site) -> Option<usize> {
    let first = site.application_frame.or(site.allocating_frame).or((!site.stack.is_empty()).then_some(0))?;
    let own = |frame: &Frame| frame.origin == Origin::Application;
    let is_conversion = |frame: &Frame| {
        let name = frame.function.rsplit("::").next().unwrap_or_default();
        CONVERSIONS.contains(&name.split('<').next().unwrap_or_default())
    };
    let mut callers = (first..).zip(site.stack.get(first..)?).filter(|(_, frame)| own(frame));
    Some(callers.find(|(_, frame)| !is_conversion(frame)).map_or(first, |(index, _)| index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::dice::Dice;
    use crate::analyze::heap::retained::GRID;

    /// Retained counts on the grid from the births (0–1) of samples, each with a life.
    fn seen(births: &[(f64, f64)]) -> Retained {
        let at = |i: usize| i as f64 / (GRID - 1) as f64;
        let alive = |t: f64| births.iter().filter(|(born, life)| *born <= t && born + life > t).count() as f64;
        let bytes = (0..GRID).map(|i| alive(at(i)) * 32_768.0).collect();
        Retained { from_s: 0.0, to_s: 90.0, age_s: 10.0, bytes, bytes_per_sample: 32_768.0, cohorts: Vec::new() }
    }

    fn share_accused(births: impl Fn(&mut Dice) -> Vec<(f64, f64)>) -> f64 {
        let mut dice = Dice(5);
        let runs = 1_000;
        let accused = |r: Retained| judged(r).is_some_and(|(_, _, c)| c >= LEAK_FROM);
        (0..runs).filter(|_| accused(seen(&births(&mut dice)))).count() as f64 / f64::from(runs)
    }

    const EVER: f64 = 9.0;

    #[test]
    fn steady_leaks_are_found_from_a_score_of_samples_on() {
        let found = |n: usize| share_accused(|d| (0..n).map(|_| (d.uniform(), EVER)).collect());
        let rates = [12, 20, 30, 60, 200].map(found);
        assert!(rates[1] > 0.8 && rates[2] > 0.93 && rates[3] > 0.98 && rates[4] > 0.99, "{rates:?}");
    }

    #[test]
    fn what_comes_and_goes_is_rarely_accused() {
        // A steady state from before the window on: lives of a tenth of it, in the mean.
        let steady =
            |n: usize| share_accused(|d| (0..n).map(|_| (d.uniform() * 1.5 - 0.5, -d.uniform().ln() * 0.1)).collect());
        // A cache that is full after a third of the window.
        let full = |n: usize| share_accused(|d| (0..n).map(|_| (d.uniform() / 3.0, EVER)).collect());
        // A table that was there, with a little noise of births that stay: nothing grows by more than chance.
        let still = share_accused(|d| (0..100).map(|i| (if i < 97 { -1.0 } else { d.uniform() }, EVER)).collect());
        let rates = [steady(100), steady(1_000), full(15), full(60), full(400), still];
        assert!(rates.iter().all(|r| *r < 0.01), "{rates:?}");
    }
}
