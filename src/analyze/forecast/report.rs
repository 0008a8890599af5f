//! What a forecast answers: plain data, serialised as it stands.

use serde::Serialize;

use super::backtest::Backtest;
use super::exhaustion::Exhaustion;
use crate::analyze::series::InputSummary;
use crate::analyze::what_if::Situation;

/// A forecast of a series, its interval, and what it says about a limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// `heapwatch.forecast/1`.
    pub schema: &'static str,
    /// What was read, and what had to be repaired.
    pub input: InputSummary,
    /// What made the forecast.
    pub model: Model,
    /// One point a step of the horizon.
    pub forecast: Vec<ForecastPoint>,
    /// When the limit is reached; `None` without a limit, or where that is not foreseeable.
    pub exhaustion: Option<Exhaustion>,
    /// One for each scenario asked for, in that order.
    pub scenarios: Vec<ScenarioForecast>,
    /// When asked for and anything could be checked.
    pub backtest: Option<Backtest>,
}

/// What made a forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Members of the combination by name, heaviest first.
    pub members: Vec<MemberWeight>,
    /// Season lengths in rows, shortest first.
    pub seasons_rows: Vec<usize>,
    /// Whether swings grow with the level; the interval then does too.
    pub multiplicative: bool,
    /// Steps it learned from, evenly spaced.
    pub rows: usize,
    /// Seconds between steps.
    pub step_s: f64,
    /// Steps without a row, bridged by a straight line.
    pub bridged_rows: usize,
    /// Growth that is clear enough to be continued, bytes per hour; 0 when there is none. `None` when nothing asked rests on
    /// it: no limit, no scenario, and a horizon that could be checked.
    pub growth_bytes_per_hour: Option<f64>,
    /// Level of the probability interval.
    pub level: f64,
    /// What a reader must know before trusting it.
    pub notes: Vec<String>,
}

/// A model's share of the combination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberWeight {
    /// The model.
    pub name: &'static str,
    /// 0–1.
    pub weight: f64,
}

/// One step ahead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastPoint {
    /// Epoch seconds.
    pub timestamp_s: f64,
    /// RFC 3339; `None` outside its range of years.
    pub timestamp: Option<String>,
    /// The expected value.
    pub mean: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// The forecast under a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioForecast {
    /// As it was written.
    pub scenario: String,
    /// Level, growth and limit at the last row, had the scenario come true there.
    pub situation: Situation,
    /// Mean at the end of the horizon.
    pub end_mean: f64,
    /// Highest upper end of the interval within the horizon.
    pub peak_upper: f64,
    /// As in [`Forecast::exhaustion`].
    pub exhaustion: Option<Exhaustion>,
}
