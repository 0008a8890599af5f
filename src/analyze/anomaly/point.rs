//! What the detector answers: a point a row, and the anomalies that points add up to.

use serde::{Deserialize, Serialize};

/// How bad, by how rare: each step is a factor of some hundred in probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Beyond the alarm level.
    Low,
    /// Surprise of 4: once in ten thousand blocks.
    Medium,
    /// Surprise of 6.
    High,
    /// Surprise of 9.
    Critical,
}

impl Severity {
    /// Of a surprise at or beyond the alarm level.
    pub(super) fn of(surprise: f64) -> Severity {
        match surprise {
            s if s >= 9.0 => Severity::Critical,
            s if s >= 6.0 => Severity::High,
            s if s >= 4.0 => Severity::Medium,
            _ => Severity::Low,
        }
    }
}

/// What kind of anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Up, and back.
    Spike,
    /// Down, and back.
    Dip,
    /// To another level, where it stays.
    LevelShift,
    /// Away from the level, gradually.
    SlopeChange,
    /// The usual cycle did not come.
    SeasonBroken,
    /// Much more movement around the level.
    Variance,
    /// No change at all where there always was some.
    FlatLine,
}

/// Why a row was not taken as it stands. It gets its answer all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// The value or the time is no finite number (or beyond 1e150): not learned, score 0.
    NotFinite,
    /// The time is not after the row before: taken as one usual step later.
    TimeNotAfterPrevious,
}

/// The answer to one row; uses that row and those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The row's own time, epoch seconds.
    pub timestamp_s: f64,
    /// The row's own value.
    pub value: f64,
    /// What was expected; `None` while the detector knows nothing.
    pub expected: Option<f64>,
    /// Band around `expected` that the distance from it leaves as seldom as an alarm is raised; `None` while it is being learned.
    pub lower: Option<f64>,
    /// Upper end of the band.
    pub upper: Option<f64>,
    /// 0–1, alike on any series: 0.5 and more is news (a value seen once in fifty blocks); the continuation of news is halved.
    pub score: f64,
    /// The row is beyond the alarm level.
    pub anomaly: bool,
    /// Of an anomaly.
    pub severity: Option<Severity>,
    /// What had to be done to the row.
    pub treatment: Option<Treatment>,
}

/// One anomaly: rows beyond the alarm level and what lies between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// First row, epoch seconds.
    pub start_s: f64,
    /// Last row beyond the alarm level, or still away from the level before the start.
    pub end_s: f64,
    /// Row of the largest surprise.
    pub peak_s: f64,
    /// Value there.
    pub peak_value: f64,
    /// Of the largest surprise.
    pub severity: Severity,
    /// Known for certain only when it has ended: a level shift begins as a spike does.
    pub kind: Kind,
}

/// A season of the series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeasonSeen {
    /// Length in seconds.
    pub period_s: f64,
    /// Share of the variance around the trend that it explains, 0–1.
    pub strength: f64,
}

/// What the detector takes for normal at present.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Rows learned from.
    pub rows: u64,
    /// Usual seconds between rows; `None` under nine rows.
    pub step_s: Option<f64>,
    /// Level of the last hour without seasons.
    pub level: Option<f64>,
    /// Mean over all history (the last ten thousand rows count most).
    pub mean: Option<f64>,
    /// Mean absolute distance from it.
    pub spread: Option<f64>,
    /// Whether enough blocks were seen to raise alarms.
    pub warm: bool,
}
