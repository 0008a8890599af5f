//! When a limit is reached, how sure that is, and by when with what probability.
//!
//! The date is the middle of the dates of all explanations that grow ([`super::growth`]), each weighed by how probable it
//! is; its interval spreads each by its slope's error. A date counts the peak of the season, since that is what hits the limit first. No
//! date is given unless growth stands clear of noise: a false date costs more trust than a late one.

use serde::Serialize;

use super::super::time::rfc3339;
use super::growth::{Explanation, Growth};

/// Least probability that something grows at all.
const LIKELY: f64 = 0.3;
/// Least ratio of the slope to its error, and of what has grown to the noise.
const CLEAR: f64 = 4.0;
/// A date further off than so many spans of data is not foreseen.
const MOST_SPANS: f64 = 4.0;
/// Slopes change over time by about this share, whatever the fit says of its own error.
const UNSTEADY: f64 = 0.15;
/// How many typical errors above the fit the first row over the limit stands.
const RIPPLE: f64 = 1.0;
/// Deviations of a slope, in standard errors, and how much each counts.
const SPREAD: [(f64, f64); 7] =
    [(-2.0, 0.07), (-1.2, 0.13), (-0.6, 0.18), (0.0, 0.24), (0.6, 0.18), (1.2, 0.13), (2.0, 0.07)];
/// Points of a season that are looked at.
const PHASES: usize = 96;
/// Hours after the last row for which a probability is given.
const CHANCES_H: [f64; 6] = [6.0, 24.0, 72.0, 168.0, 720.0, 2160.0];

/// When the level first reaches the limit. Times are `None` where that is not foreseeable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exhaustion {
    /// Expected, RFC 3339.
    pub at: Option<String>,
    /// Epoch seconds of `at`.
    pub at_s: Option<f64>,
    /// 5 % of the probability lies before, given that something grows.
    pub earliest: Option<String>,
    /// Epoch seconds of `earliest`.
    pub earliest_s: Option<f64>,
    /// 5 % of the probability lies after, given that something grows.
    pub latest: Option<String>,
    /// Epoch seconds of `latest`.
    pub latest_s: Option<f64>,
    /// Probability that the limit is reached by a date.
    pub probability: Vec<Chance>,
}

/// A date and the probability that the limit is reached by it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chance {
    /// RFC 3339.
    pub by: Option<String>,
    /// Epoch seconds.
    pub by_s: f64,
    /// 0–1.
    pub probability: f64,
}

/// How the future differs from the continued past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outlook {
    pub limit: f64,
    /// Factor of the level and its season.
    pub level: f64,
    /// Factor of the slope, in place of that of the level.
    pub growth: f64,
}

/// Growth per second, expected and at two standard errors less and more, when it is clear enough to be believed.
pub(super) fn drift(growth: &Growth) -> Option<[f64; 3]> {
    let growing = || growth.explanations.iter().filter(|e| e.slope > 0.0);
    let share: f64 = growing().map(|e| e.weight).sum();
    let mean = |of: &dyn Fn(&Explanation) -> f64| growing().map(|e| e.weight / share * of(e)).sum::<f64>();
    let sure = mean(&|e| e.slope / e.slope_error.max(f64::MIN_POSITIVE));
    let grown = mean(&|e| e.slope * (1.0 - e.onset));
    let clear = share > LIKELY && sure > CLEAR && grown > CLEAR * growth.noise;
    let at = |deviation: f64| mean(&|e| (e.slope + deviation * error(e)).max(0.0)) / growth.span_s;
    clear.then(|| [at(0.0), at(-2.0), at(2.0)])
}

/// When the limit is reached under an outlook; `None` where it is not foreseen.
pub(super) fn exhaustion(growth: &Growth, outlook: Outlook, now_s: f64) -> Option<Exhaustion> {
    if growth.level * outlook.level >= outlook.limit {
        return Some(reached(now_s));
    }
    drift(growth)?;
    let dates = Dates::of(growth, outlook, now_s, &SPREAD);
    let at_s = Dates::of(growth, outlook, now_s, &[(0.0, 1.0)])
        .quantile(0.5)
        .filter(|at| at - now_s <= MOST_SPANS * growth.span_s)?;
    let earliest_s = dates.quantile(0.05).map(|s| s.min(at_s));
    let latest_s = dates.quantile(0.95).map(|s| s.max(at_s));
    let grows: f64 = growth.explanations.iter().filter(|e| e.slope > 0.0).map(|e| e.weight).sum();
    let chance = |hours: f64| {
        let by_s = now_s + hours * 3600.0;
        Chance { by: rfc3339(by_s), by_s, probability: grows * dates.share_before(by_s) }
    };
    Some(Exhaustion {
        at: rfc3339(at_s),
        at_s: Some(at_s),
        earliest: earliest_s.and_then(rfc3339),
        earliest_s,
        latest: latest_s.and_then(rfc3339),
        latest_s,
        probability: CHANCES_H.map(chance).to_vec(),
    })
}

impl Exhaustion {
    /// From the steps of a forecast at which its mean, and the ends of its interval, first reach the limit.
    pub(super) fn of_path(at_s: f64, earliest_s: Option<f64>, latest_s: Option<f64>) -> Exhaustion {
        let chance = |by_s: f64, probability| Chance { by: rfc3339(by_s), by_s, probability };
        let late = latest_s.map(|by_s| chance(by_s, 0.95));
        Exhaustion {
            at: rfc3339(at_s),
            at_s: Some(at_s),
            earliest: earliest_s.and_then(rfc3339),
            earliest_s,
            latest: latest_s.and_then(rfc3339),
            latest_s,
            probability: std::iter::once(chance(at_s, 0.5)).chain(late).collect(),
        }
    }
}

/// The limit is reached already.
fn reached(now_s: f64) -> Exhaustion {
    let now = || rfc3339(now_s);
    let probability = vec![Chance { by: now(), by_s: now_s, probability: 1.0 }];
    let s = Some(now_s);
    Exhaustion { at: now(), at_s: s, earliest: now(), earliest_s: s, latest: now(), latest_s: s, probability }
}

fn error(explanation: &Explanation) -> f64 {
    explanation.slope_error.hypot(UNSTEADY * explanation.slope)
}

/// Dates and how much each counts, in order of time; infinite where the limit is never reached.
struct Dates(Vec<(f64, f64)>);

impl Dates {
    fn of(growth: &Growth, outlook: Outlook, now_s: f64, spread: &[(f64, f64)]) -> Dates {
        let growing = growth.explanations.iter().filter(|e| e.slope > 0.0);
        let mut dates: Vec<(f64, f64)> = Vec::new();
        for e in growing {
            let date = |&(deviation, count)| (crossing(growth, e, deviation, outlook, now_s), count * e.weight);
            dates.extend(spread.iter().map(date));
        }
        dates.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = dates.iter().map(|d| d.1).sum();
        dates.iter_mut().for_each(|d| d.1 /= total);
        Dates(dates)
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        let mut reached = 0.0;
        let at = self.0.iter().find(|(_, count)| {
            reached += count;
            reached >= share
        });
        at.map(|d| d.0).filter(|at| at.is_finite())
    }

    fn share_before(&self, by_s: f64) -> f64 {
        self.0.iter().take_while(|d| d.0 <= by_s).map(|d| d.1).sum::<f64>().min(1.0)
    }
}

/// When one explanation reaches the limit, its slope off by some standard errors; infinite if never.
fn crossing(growth: &Growth, e: &Explanation, deviation: f64, outlook: Outlook, now_s: f64) -> f64 {
    let now = (now_s - growth.start_s) / growth.span_s;
    let off = deviation * error(e);
    if outlook.growth * (e.slope + off) <= 0.0 {
        return f64::INFINITY;
    }
    // The line turns around the middle of the growth, where the data hold it.
    let turn = 0.5 * (1.0 + e.onset);
    let grown_less =
        |share: f64| (1.0 - outlook.growth / outlook.level.max(f64::EPSILON)) * (e.slope + off) * (share - now);
    let level = |share: f64| e.trend(share) + off * (share - turn) - grown_less(share) + RIPPLE * growth.noise;
    let room = |share: f64| outlook.limit - outlook.level * level(share);
    let season = |share: f64| outlook.level * e.season(share);
    let length = growth.season_s / growth.span_s;
    let phases = || (0..PHASES).map(|i| i as f64 / PHASES as f64 * length);
    let peak = phases().map(|p| season(now + p)).fold(0.0, f64::max);
    // From here on the season's peak alone reaches it, and within a season it does.
    let Some(from) = first_below(now, peak, room) else { return f64::INFINITY };
    let at = phases().map(|p| from + p).find(|share| season(*share) >= room(*share));
    growth.start_s + growth.span_s * at.unwrap_or(from + length)
}

/// Where `room`, which shrinks, first is at most `least`; `None` beyond any span that is of interest.
fn first_below(now: f64, least: f64, room: impl Fn(f64) -> f64) -> Option<f64> {
    if room(now) <= least {
        return Some(now);
    }
    let (mut before, mut after) = (now, now + 0.25);
    while room(after) > least {
        (before, after) = (after, now + 2.0 * (after - now));
        if after > now + 1000.0 {
            return None;
        }
    }
    for _ in 0..30 {
        let middle = 0.5 * (before + after);
        if room(middle) > least { before = middle } else { after = middle }
    }
    Some(after)
}
