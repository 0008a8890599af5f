//! Forecasts of a series: a combination of models, intervals from its own past errors, and the date a limit is reached.
//!
//! `series → history → cycles, shift → models at rolling origins → weights → blend → bands`, and beside it
//! `series → growth → exhaustion, what-if`. The combination is tried out from past origins as far as the rows allow;
//! further steps continue its last level with the growth that is clear, and wider.
//!
//! Invariants: exactly the horizon's number of points; every number finite; nothing below zero unless a row was. The same
//! rows give the same answer. It does not foresee what has no trace in the rows: a deploy, a new customer, a restart.

mod backtest;
mod combination;
mod cycles;
mod exhaustion;
mod growth;
mod history;
mod interval;
mod linear;
mod models;
mod origins;
mod pool;
mod report;
mod shift;

#[cfg(test)]
mod tests;

pub use self::backtest::{Backtest, OriginError};
pub use self::exhaustion::{Chance, Exhaustion};
pub use self::report::{Forecast, ForecastPoint, MemberWeight, Model, ScenarioForecast};

use self::backtest::Tried;
use self::exhaustion::Outlook;
use self::growth::Growth;
use self::history::History;
use self::models::Task;
use super::series::Series;
use super::time::rfc3339;
use super::what_if::{self, GrowingSite, Scenario, Situation};
use crate::error::{Error, Result};

/// The schema of [`Forecast`].
pub const SCHEMA: &str = "heapwatch.forecast/1";
/// Most steps of a horizon.
pub const MOST_STEPS: usize = 100_000;
/// Rows from which a forecast can be tried out before it is believed.
pub const CHECKED_ROWS: usize = 14;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastOptions {
    /// Steps ahead, in rows of the series. Default 24; cost grows with it beyond some hundreds.
    pub horizon_rows: usize,
    /// Probability that a value falls into its interval. Default 0.9; nearer 1 rests on the few largest past errors.
    pub level: f64,
    /// Season length in rows. Default `None`: a day and a week if they fit, else what the rows show.
    pub season_rows: Option<usize>,
    /// A limit in the series' units, for [`Forecast::exhaustion`]. Default `None`.
    pub limit_bytes: Option<f64>,
    /// Whether to report errors from past origins. Default false; costs a few milliseconds.
    pub backtest: bool,
    /// What-if scenarios. Default none.
    pub scenarios: Vec<Scenario>,
    /// Replicas that share the load, for scenarios that change them. Default `None`: unknown.
    pub replicas: Option<u32>,
    /// Share of the memory that moves with load, for scenarios. Default `None`: from the series' load, else 1, the cautious
    /// choice.
    pub load_share: Option<f64>,
    /// Sites that grow, for scenarios that fix them. Default none.
    pub sites: Vec<GrowingSite>,
}

impl Default for ForecastOptions {
    fn default() -> ForecastOptions {
        ForecastOptions {
            horizon_rows: 24,
            level: 0.9,
            season_rows: None,
            limit_bytes: None,
            backtest: false,
            scenarios: Vec::new(),
            replicas: None,
            load_share: None,
            sites: Vec::new(),
        }
    }
}

/// Forecasts a series. Errors: an option out of its range, fewer than two rows, or a scenario that needs what is unknown.
/// Between two rows and [`CHECKED_ROWS`] the answer is the last value with a wide interval, and a note says so.
pub fn forecast(series: &Series, options: &ForecastOptions) -> Result<Forecast> {
    validate(options)?;
    let history = History::recent(series).ok_or_else(|| {
        Error::input(format!("a forecast needs at least 2 rows at different times; there is {} of them", series.len()))
    })?;
    let combined = Combined::of(&history, options);
    let asked = options.limit_bytes.is_some() || !options.scenarios.is_empty() || combined.near < options.horizon_rows;
    let growth = if asked { explained(series) } else { None };
    let drift = growth.as_ref().and_then(exhaustion::drift);
    let points = combined.points(&history, options, drift);
    let limit = options.limit_bytes;
    let exhaustion = limit
        .and_then(|limit| exhausted(growth.as_ref(), &points, Outlook { limit, level: 1.0, growth: 1.0 }, &history));
    let per_hour = asked.then(|| drift.map_or(0.0, |d| d[0] * 3600.0));
    let situation = Situation {
        used_bytes: growth.as_ref().map_or_else(|| history.values.last().copied().unwrap_or_default(), |g| g.level),
        load_share: options.load_share.or_else(|| what_if::load_share(series)).unwrap_or(1.0),
        growth_bytes_per_hour: per_hour.unwrap_or_default(),
        limit_bytes: limit,
        replicas: options.replicas,
        sites: options.sites.clone(),
    };
    let scenario = |s: &Scenario| scenario_forecast(s, &situation, &points, growth.as_ref(), &history);
    let scenarios = options.scenarios.iter().map(scenario).collect::<Result<_>>()?;
    let backtest = if options.backtest { combined.backtest(&history, options) } else { None };
    let model = combined.model(&history, options, per_hour);
    Ok(Forecast { schema: SCHEMA, input: series.summary(), model, forecast: points, exhaustion, scenarios, backtest })
}

fn explained(series: &Series) -> Option<Growth> {
    let whole = History::whole(series)?;
    growth::explain(&whole.values, whole.step_s, whole.end_s)
}

fn validate(options: &ForecastOptions) -> Result<()> {
    let wrong = |what: String| Err(Error::config(what));
    if !(1..=MOST_STEPS).contains(&options.horizon_rows) {
        return wrong(format!("horizon: {} is not between 1 and {MOST_STEPS} rows", options.horizon_rows));
    }
    if !(options.level > 0.0 && options.level < 1.0) {
        return wrong(format!("level: {} is not between 0 and 1", options.level));
    }
    if options.season_rows.is_some_and(|m| m < 2) {
        return wrong("season: a season has at least 2 rows".to_owned());
    }
    if let Some(limit) = options.limit_bytes.filter(|l| !(l.is_finite() && *l > 0.0)) {
        return wrong(format!("limit: {limit} is not a positive number of bytes"));
    }
    if let Some(share) = options.load_share.filter(|s| !(0.0..=1.0).contains(s)) {
        return wrong(format!("load share: {share} is not between 0 and 1"));
    }
    Ok(())
}

/// The combination, fitted and blended, before times are put to it.
struct Combined {
    values: Vec<f64>,
    origins: Vec<usize>,
    near: usize,
    cycles: Vec<usize>,
    multiplicative: bool,
    members: Vec<pool::Member>,
    weights: Vec<f64>,
    mean: Vec<f64>,
    /// Half widths; shares of the mean where the season is multiplicative.
    bands: Vec<f64>,
    checked: bool,
    shifted: bool,
}

impl Combined {
    fn of(history: &History, options: &ForecastOptions) -> Combined {
        let far = options.horizon_rows;
        let cycles = cycles::cycles(&history.values, history.step_s, options.season_rows);
        let shift = shift::last_shift(&history.values, cycles.first().copied().unwrap_or(1));
        let values = shift::without(&history.values, shift);
        let near = origins::near(values.len(), far);
        let origins = origins::origins(values.len(), near, &cycles);
        let task = Task { values: &values, origins: &origins, near, far };
        let multiplicative = pool::multiplicative(&values, &cycles);
        let members = pool::members(&task, &cycles, multiplicative);
        let weights = combination::weights(&task, &members);
        let mean = combination::blend(&members, &weights, origins.len() - 1);
        let misses = interval::misses(&task, &members, &weights, multiplicative);
        let bands = interval::bands(&misses, near, far, options.level);
        let checked = bands.is_some();
        let multiplicative = multiplicative && checked;
        let bands = bands.unwrap_or_else(|| interval::unchecked(&values, far, options.level));
        Combined {
            origins,
            near,
            cycles,
            multiplicative,
            members,
            weights,
            mean,
            bands,
            checked,
            shifted: shift.is_some(),
            values,
        }
    }

    /// Puts times to the steps, continues clear growth past the checked ones, and keeps what cannot be negative at zero.
    fn points(&self, history: &History, options: &ForecastOptions, drift: Option<[f64; 3]>) -> Vec<ForecastPoint> {
        let floor = if self.values.iter().all(|v| *v >= 0.0) { 0.0 } else { f64::MIN };
        let [expected, least, most] = drift.unwrap_or_default().map(|per_s| per_s * history.step_s);
        let last = self.mean.last().copied().or(self.values.last().copied()).unwrap_or_default();
        let point = |step: usize| {
            let beyond = (step + 1).saturating_sub(self.near) as f64;
            let mean = self.mean.get(step).copied().unwrap_or(last);
            let band = self.bands.get(step).copied().unwrap_or_default();
            let half = if self.multiplicative { band * mean.abs() } else { band };
            let timestamp_s = history.end_s + (step + 1) as f64 * history.step_s;
            let held = |value: f64| if value.is_finite() { value.max(floor) } else { last.max(floor) };
            ForecastPoint {
                timestamp_s,
                timestamp: rfc3339(timestamp_s),
                mean: held(mean + expected * beyond),
                lower: held(mean - half + least * beyond),
                upper: held(mean + half + most * beyond),
            }
        };
        (0..options.horizon_rows).map(point).collect()
    }

    fn backtest(&self, history: &History, options: &ForecastOptions) -> Option<Backtest> {
        let task = Task { values: &self.values, origins: &self.origins, near: self.near, far: options.horizon_rows };
        let (members, weights) = (&self.members, &self.weights);
        let misses = interval::misses(&task, members, weights, self.multiplicative);
        let (relative, level) = (self.multiplicative, options.level);
        let (step_s, end_s) = (history.step_s, history.end_s);
        backtest::backtest(Tried { task: &task, members, weights, misses, relative, level, step_s, end_s })
    }

    fn model(&self, history: &History, options: &ForecastOptions, growth_bytes_per_hour: Option<f64>) -> Model {
        let shares = self.members.iter().zip(&self.weights);
        let mut members: Vec<MemberWeight> = shares.map(|(m, w)| MemberWeight { name: m.name, weight: *w }).collect();
        members.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        Model {
            members,
            seasons_rows: self.cycles.clone(),
            multiplicative: self.multiplicative,
            rows: self.values.len(),
            step_s: history.step_s,
            bridged_rows: history.bridged,
            growth_bytes_per_hour,
            level: options.level,
            notes: self.notes(options),
        }
    }

    fn notes(&self, options: &ForecastOptions) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.checked {
            let rows = self.values.len();
            notes.push(format!(
                "only {rows} rows: the last value, unchecked, with a wide interval; needs at least {CHECKED_ROWS} rows"
            ));
        } else if self.near < options.horizon_rows {
            notes.push(format!("steps after the first {} could not be checked against past rows", self.near));
        }
        if self.shifted {
            notes.push("the level broke recently; rows before the break were moved to the level after it".to_owned());
        }
        if let Some(told) = options.season_rows.filter(|m| !self.cycles.contains(m)) {
            notes.push(format!(
                "a season of {told} rows does not fit twice into {} rows and was not used",
                self.values.len()
            ));
        }
        notes
    }
}

/// From clear growth, or the first step whose mean is at the limit if that comes sooner.
fn exhausted(
    growth: Option<&Growth>,
    points: &[ForecastPoint],
    outlook: Outlook,
    history: &History,
) -> Option<Exhaustion> {
    let grown = growth.and_then(|g| exhaustion::exhaustion(g, outlook, history.end_s));
    if grown.is_some() {
        return grown;
    }
    let first = |of: fn(&ForecastPoint) -> f64| {
        points.iter().find(|p| of(p) * outlook.level >= outlook.limit).map(|p| p.timestamp_s)
    };
    Some(Exhaustion::of_path(first(|p| p.mean)?, first(|p| p.upper), first(|p| p.lower)))
}

fn scenario_forecast(
    scenario: &Scenario,
    present: &Situation,
    points: &[ForecastPoint],
    growth: Option<&Growth>,
    history: &History,
) -> Result<ScenarioForecast> {
    let situation = present.under(scenario)?;
    let ratio = |after: f64, before: f64| if before > 0.0 { after / before } else { 1.0 };
    let level = ratio(situation.used_bytes, present.used_bytes);
    let factor = ratio(situation.growth_bytes_per_hour, present.growth_bytes_per_hour);
    let moved = |value: f64, p: &ForecastPoint| {
        let grown = present.growth_bytes_per_hour * (p.timestamp_s - history.end_s) / 3600.0;
        ((value - grown) * level + grown * factor).max(0.0)
    };
    let exhaustion = situation
        .limit_bytes
        .and_then(|limit| exhausted(growth, points, Outlook { limit, level, growth: factor }, history));
    Ok(ScenarioForecast {
        scenario: scenario.name.clone(),
        end_mean: points.last().map_or(0.0, |p| moved(p.mean, p)),
        peak_upper: points.iter().map(|p| moved(p.upper, p)).fold(0.0, f64::max),
        exhaustion,
        situation,
    })
}
