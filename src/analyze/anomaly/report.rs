//! The document `heapwatch.anomaly/1`: one record a row, then what the rows add up to.
//!
//! Records are made one at a time, so that a document of any length needs no more memory than its anomalies.

use serde::Serialize;

use super::AnomalyDetector;
use super::point::{Anomaly, Baseline, Kind, Point, SeasonSeen, Severity, Treatment};

/// The document's name and version.
pub const SCHEMA: &str = "heapwatch.anomaly/1";

/// One row of `points`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointRecord {
    /// As in the row; null where it was no number.
    pub timestamp_s: Option<f64>,
    /// The same in RFC 3339.
    pub timestamp: Option<String>,
    /// As in the row; null where it was no number.
    pub value: Option<f64>,
    /// See [`Point`], here and below.
    pub expected: Option<f64>,
    /// Null while it is being learned.
    pub lower: Option<f64>,
    /// Null while it is being learned.
    pub upper: Option<f64>,
    /// 0–1.
    pub score: f64,
    /// Beyond the alarm level.
    pub anomaly: bool,
    /// Of an anomaly.
    pub severity: Option<Severity>,
    /// Absent where the row was taken as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub treatment: Option<Treatment>,
}

impl From<&Point> for PointRecord {
    fn from(p: &Point) -> PointRecord {
        let finite = |x: f64| Some(x).filter(|x| x.is_finite());
        PointRecord {
            timestamp_s: finite(p.timestamp_s),
            timestamp: rfc3339(p.timestamp_s),
            value: finite(p.value),
            expected: p.expected,
            lower: p.lower,
            upper: p.upper,
            score: p.score,
            anomaly: p.anomaly,
            severity: p.severity,
            treatment: p.treatment,
        }
    }
}

/// One of `anomalies`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnomalyRecord {
    /// First row, RFC 3339.
    pub start: Option<String>,
    /// The same in epoch seconds.
    pub start_s: f64,
    /// Last row.
    pub end: Option<String>,
    /// The same in epoch seconds.
    pub end_s: f64,
    /// Row of the largest surprise.
    pub peak: Option<String>,
    /// The same in epoch seconds.
    pub peak_s: f64,
    /// Value there.
    pub peak_value: f64,
    /// Of the largest surprise.
    pub severity: Severity,
    /// What kind.
    pub kind: Kind,
}

impl From<&Anomaly> for AnomalyRecord {
    fn from(a: &Anomaly) -> AnomalyRecord {
        AnomalyRecord {
            start: rfc3339(a.start_s),
            start_s: a.start_s,
            end: rfc3339(a.end_s),
            end_s: a.end_s,
            peak: rfc3339(a.peak_s),
            peak_s: a.peak_s,
            peak_value: a.peak_value,
            severity: a.severity,
            kind: a.kind,
        }
    }
}

/// Rows that needed a treatment, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Treated {
    /// Rows in all.
    pub rows: u64,
    /// See [`Treatment::NotFinite`].
    pub not_finite: u64,
    /// See [`Treatment::TimeNotAfterPrevious`].
    pub time_not_after_previous: u64,
}

/// What follows the points.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// In order of time; the last may still be going on.
    pub anomalies: Vec<AnomalyRecord>,
    /// Strongest first.
    pub seasonality: Vec<SeasonSeen>,
    /// What is taken for normal at the end.
    pub baseline: Baseline,
    /// What had to be done to rows.
    pub input: Treated,
    /// Set where the data do not suffice to raise alarms; says what is missing.
    pub note: Option<String>,
}

/// Collects a [`Summary`] while points go by.
#[derive(Debug, Default)]
pub struct Summing {
    anomalies: Vec<Anomaly>,
    input: Treated,
}

impl Summing {
    /// Takes the answer to one row.
    pub fn push(&mut self, point: &Point, ended: Option<Anomaly>) {
        self.input.rows += 1;
        match point.treatment {
            Some(Treatment::NotFinite) => self.input.not_finite += 1,
            Some(Treatment::TimeNotAfterPrevious) => self.input.time_not_after_previous += 1,
            None => {}
        }
        self.anomalies.extend(ended);
    }

    /// The worst severity so far, the anomaly that is still open included.
    pub fn worst(&self, detector: &AnomalyDetector) -> Option<Severity> {
        self.anomalies.iter().copied().chain(detector.open_anomaly()).map(|a| a.severity).max()
    }

    /// The summary after the last row.
    pub fn finish(&self, detector: &AnomalyDetector) -> Summary {
        let baseline = detector.baseline();
        let note = (!baseline.warm).then(|| {
            "not enough rows to judge: alarms begin after four blocks of six hours (or 48 rows, whichever is longer)".to_string()
        });
        Summary {
            anomalies: self.anomalies.iter().copied().chain(detector.open_anomaly()).map(|a| (&a).into()).collect(),
            seasonality: detector.seasonality(),
            baseline,
            input: self.input,
            note,
        }
    }
}

/// RFC 3339 in UTC; `None` where a calendar has no such time.
pub fn rfc3339(time_s: f64) -> Option<String> {
    let nanos = (time_s * 1e9).round();
    (nanos.abs() < 1e20).then(|| jiff::Timestamp::from_nanosecond(nanos as i128).ok().map(|t| t.to_string())).flatten()
}
