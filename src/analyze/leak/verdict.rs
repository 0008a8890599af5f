//! The verdict at the end of a series: whether, since when, how fast, how sure, and when the limit is met.

use serde::{Deserialize, Serialize};

use super::evidence;
use super::history::History;
use super::look::Look;
use super::options::LeakOptions;
use super::rate::Rate;
use super::shape::Shape;
use crate::analyze::series::Series;
use crate::analyze::severity::Severity;
use crate::analyze::time::rfc3339;

/// A leak is named from this probability on.
const NAMED_FROM: f64 = 0.5;
/// Growth within this many standard deviations of sampling noise is not called a leak.
const NOISE_SIGMAS: f64 = 3.0;
const HOUR_S: f64 = 3600.0;

/// An alarm as an operator saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it was raised, RFC 3339.
    pub at: Option<String>,
    /// When it was raised, epoch seconds.
    pub at_s: f64,
    /// When it was cleared, RFC 3339; null while it stands.
    pub cleared_at: Option<String>,
    /// When it was cleared, epoch seconds.
    pub cleared_at_s: Option<f64>,
}

impl Alarm {
    pub(super) fn raised(at_s: f64) -> Alarm {
        Alarm { at: rfc3339(at_s), at_s, cleared_at: None, cleared_at_s: None }
    }

    pub(super) fn clear(&mut self, at_s: f64) {
        (self.cleared_at, self.cleared_at_s) = (rfc3339(at_s), Some(at_s));
    }
}

/// What is known of a leak in one series. Sizes are bytes, rates bytes per hour; `heapwatch.leak/1` as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeakVerdict {
    /// Name and version of this document.
    pub schema: &'static str,
    /// Whether it leaks at its end.
    pub leak: bool,
    /// Probability, 0 to 1, that it leaks; calibrated.
    pub confidence: f64,
    /// Growth of the leak; 0 without one.
    pub rate_bytes_per_hour: f64,
    /// Lower end of the rate's 90 % interval.
    pub rate_lower: f64,
    /// Upper end of the rate's 90 % interval.
    pub rate_upper: f64,
    /// Bytes leaked since the onset.
    pub leaked_bytes: f64,
    /// Since when, RFC 3339.
    pub onset: Option<String>,
    /// Since when, epoch seconds.
    pub onset_s: Option<f64>,
    /// When the limit is met if nothing changes, RFC 3339.
    pub exhaustion: Option<String>,
    /// The same, epoch seconds.
    pub exhaustion_s: Option<f64>,
    /// The same at the rate's upper end.
    pub exhaustion_earliest_s: Option<f64>,
    /// The same at the rate's lower end; null if that is not growth.
    pub exhaustion_latest_s: Option<f64>,
    /// What the growth, or the series without one, looks like.
    pub shape: Shape,
    /// How bad, by size and rate.
    pub severity: Severity,
    /// Alarms as a detector watching live raised and cleared them.
    pub alarms: Vec<Alarm>,
    /// Why, in sentences.
    pub evidence: Vec<String>,
    /// What observation would prove the verdict wrong.
    pub refuted_by: String,
    /// What is missing for a verdict; null when nothing is.
    pub insufficient: Option<String>,
    /// Rows that were used.
    pub rows: u64,
    /// Seconds from the first to the last.
    pub span_s: f64,
}

impl LeakVerdict {
    pub(super) fn of(history: &History, has_load: bool, options: &LeakOptions, alarms: Vec<Alarm>) -> LeakVerdict {
        let (rows, span_s) = (history.rows(), history.span_s());
        let unknown = LeakVerdict { alarms, rows, span_s, ..LeakVerdict::unknown() };
        match Look::at(history) {
            None => LeakVerdict { insufficient: Some(missing(history)), ..unknown },
            Some(look) => unknown.judged(&look, history, has_load, options),
        }
    }

    /// A verdict from rules: slope in bytes per second at the end, no interval.
    pub(super) fn by_rules(
        series: &Series,
        leak: bool,
        confidence: f64,
        slope_per_s: f64,
        alarms: Vec<Alarm>,
        evidence: Vec<String>,
        options: &LeakOptions,
    ) -> LeakVerdict {
        let span_s = series.times_s().last().zip(series.times_s().first()).map_or(0.0, |(b, a)| b - a);
        let onset_s = alarms.last().filter(|_| leak).map(|a| a.at_s);
        let rate = Rate {
            per_s: slope_per_s,
            lower_per_s: slope_per_s,
            upper_per_s: slope_per_s,
            onset_s: onset_s.unwrap_or(0.0),
            leaked_bytes: onset_s.map_or(0.0, |_| slope_per_s * span_s),
        };
        let rows = series.len() as u64;
        let mut out = LeakVerdict { leak, confidence, alarms, evidence, rows, span_s, ..LeakVerdict::unknown() };
        if let Some(last) = series.times_s().last().zip(series.values().last()).filter(|_| leak) {
            out.grows(&rate, *last.1, *last.0, options);
        }
        out
    }

    fn unknown() -> LeakVerdict {
        LeakVerdict {
            schema: "heapwatch.leak/1",
            leak: false,
            confidence: 0.0,
            rate_bytes_per_hour: 0.0,
            rate_lower: 0.0,
            rate_upper: 0.0,
            leaked_bytes: 0.0,
            onset: None,
            onset_s: None,
            exhaustion: None,
            exhaustion_s: None,
            exhaustion_earliest_s: None,
            exhaustion_latest_s: None,
            shape: Shape::Unknown,
            severity: Severity::None,
            alarms: Vec::new(),
            evidence: Vec::new(),
            refuted_by: "more history".to_owned(),
            insufficient: None,
            rows: 0,
            span_s: 0.0,
        }
    }

    fn judged(self, look: &Look, history: &History, has_load: bool, options: &LeakOptions) -> LeakVerdict {
        let rate = look.rate();
        let leaked = rate.as_ref().map_or(0.0, |r| r.leaked_bytes);
        let drowned = options.noise_bytes.filter(|noise| leaked < NOISE_SIGMAS * noise);
        let confidence = if drowned.is_some() { 0.0 } else { look.probability };
        let leak = confidence > NAMED_FROM && rate.is_some();
        let mut out = LeakVerdict {
            leak,
            confidence,
            shape: Shape::of(look, leak, has_load),
            evidence: evidence::sentences(look, rate.as_ref(), leak),
            refuted_by: evidence::refuted_by(leak, look),
            ..self
        };
        if let Some(noise) = drowned {
            out.evidence.push(evidence::drowned(leaked, noise));
        }
        if let Some((rate, (now, value))) = rate.filter(|_| leak).zip(history.last()) {
            out.grows(&rate, look.high_level().max(value), now, options);
        }
        out
    }

    fn grows(&mut self, rate: &Rate, level: f64, now_s: f64, options: &LeakOptions) {
        self.rate_bytes_per_hour = rate.per_s * HOUR_S;
        self.rate_lower = rate.lower_per_s * HOUR_S;
        self.rate_upper = rate.upper_per_s * HOUR_S;
        self.leaked_bytes = rate.leaked_bytes;
        self.severity = options.thresholds.severity(self.leaked_bytes, self.rate_bytes_per_hour);
        self.onset_s = Some(rate.onset_s);
        self.onset = rfc3339(rate.onset_s);
        let Some(limit) = options.limit_bytes else { return };
        let room = (limit - level).max(0.0);
        let at = |per_s: f64| (per_s > 0.0).then(|| now_s + room / per_s);
        self.exhaustion_s = at(rate.per_s);
        self.exhaustion_earliest_s = at(rate.upper_per_s);
        self.exhaustion_latest_s = at(rate.lower_per_s);
        self.exhaustion = self.exhaustion_s.and_then(rfc3339);
    }
}

fn missing(history: &History) -> String {
    Look::missing(history).unwrap_or_else(|| "no time passes between the rows".to_owned())
}
