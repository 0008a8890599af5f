//! The evidence: eight non-negative statistics of a row and its past, each large when something is unusual.
//!
//! Each looks at another way to be abnormal, in the series' own units; [`super::tail::Tail`] makes them comparable. All are
//! running means, differences and extremes: constant time and memory a row.

use serde::{Deserialize, Serialize};

use super::detector::MOST_ROWS;
use super::predictor::Predictor;
use super::range::Range;

/// Number of statistics.
pub(super) const CHANNELS: usize = 8;

/// What a statistic looks at; the discriminant is its place in the arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Channel {
    /// Step from the row before.
    Jump,
    /// Error of the learned one-step prediction.
    Prediction,
    /// Mean step of the last rows.
    Dispersion,
    /// Distance outside the range seen so far.
    Novelty,
    /// Distance of a short mean from all history.
    ShortMean,
    /// Distance of a long mean from all history.
    LongMean,
    /// Distance from the seasonal profile on its slow level.
    Season,
    /// Rows without any change.
    Flat,
}

impl Channel {
    /// All, in the order of the arrays.
    pub(super) const ALL: [Channel; CHANNELS] = [
        Channel::Jump,
        Channel::Prediction,
        Channel::Dispersion,
        Channel::Novelty,
        Channel::ShortMean,
        Channel::LongMean,
        Channel::Season,
        Channel::Flat,
    ];

    /// Whether the statistic can reach its height within one row.
    pub(super) fn is_sudden(self) -> bool {
        matches!(self, Channel::Jump | Channel::Prediction | Channel::Novelty)
    }
}

/// Rows (as a time constant) of: the last steps, the short mean, the long mean.
const LAST_ROWS: f64 = 6.0;
const SHORT_ROWS: f64 = 8.0;
const LONG_ROWS: f64 = 18.0;
/// Rows that all history effectively holds.
const HISTORY_ROWS: f64 = 10_000.0;
/// Rows before the range and the predictor are believed.
const SETTLED: u64 = 30;
/// Added to the novelty so that leaving the range by less than this share of it is nothing special.
const NOVELTY_OFFSET: f64 = 0.02;
/// Added to a flat run, so that short runs of a coarsely rounded series are nothing special.
const FLAT_OFFSET: f64 = 12.0;
/// Largest input or target of the predictor, in spreads.
const MOST_SPREADS: f64 = 1e6;

/// One row as the statistics need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    pub(super) value: f64,
    /// Seconds since the row before, and between rows usually.
    pub(super) dt_s: f64,
    pub(super) step_s: f64,
    /// Seasonal part, its uncertainty, and the distance from the slow level without it.
    pub(super) season: f64,
    pub(super) doubt: f64,
    pub(super) from_slow: f64,
}

impl Observed {
    /// Share by which a mean of time constant `rows` or `hours`, whichever is longer, moves to this row.
    pub(super) fn share(&self, hours: f64, rows: f64) -> f64 {
        let dt = self.dt_s.min(20.0 * self.step_s);
        1.0 - (-dt / (hours * 3600.0).max(rows * self.step_s)).exp()
    }
}

/// Running means, extremes and the learned model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Statistics {
    rows: u64,
    last: [f64; 3],
    last_steps: f64,
    flat_rows: f64,
    short: f64,
    long: f64,
    /// Mean and mean absolute deviation of all history.
    centre: f64,
    spread: f64,
    /// Spread of the distance from the slow level.
    season_spread: f64,
    range: Range,
    predictor: Predictor,
}

impl Statistics {
    pub(super) fn new(value: f64) -> Statistics {
        Statistics {
            rows: 0,
            last: [value; 3],
            last_steps: 0.0,
            flat_rows: 0.0,
            short: value,
            long: value,
            centre: value,
            spread: 0.0,
            season_spread: 0.0,
            range: Range::new(),
            predictor: Predictor::new(),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.rows < MOST_ROWS && self.range.is_sound() && self.spread >= 0.0 && self.season_spread >= 0.0
    }

    /// The short mean before the present row: where a series was before an event.
    pub(super) fn short_mean(&self) -> f64 {
        self.short
    }

    /// Spread of the distance from the slow level, for the band around what is expected.
    pub(super) fn season_spread(&self) -> f64 {
        self.season_spread
    }

    /// Mean and mean absolute deviation of all history.
    pub(super) fn history(&self) -> (f64, f64) {
        (self.centre, self.spread)
    }

    /// The statistics of a row, in the order of [`Channel::ALL`]. History does not yet hold the row.
    pub(super) fn observe(&mut self, row: &Observed) -> [f64; CHANNELS] {
        self.rows += 1;
        let step = (row.value - self.last[0]).abs();
        let error = self.prediction_error(row);
        self.last_steps += row.share(0.0, LAST_ROWS) * (step - self.last_steps);
        self.flat_rows = if step == 0.0 { self.flat_rows + 1.0 } else { 0.0 };
        self.short += row.share(0.0, SHORT_ROWS) * (row.value - self.short);
        self.long += row.share(0.0, LONG_ROWS) * (row.value - self.long);
        let novelty = if self.rows > SETTLED { self.range.excess(row.value) } else { 0.0 };
        let tiny = 1e-12 * row.value.abs() + f64::MIN_POSITIVE;
        [
            step / (row.dt_s / row.step_s).max(1.0).sqrt(),
            error.abs(),
            self.last_steps,
            novelty + NOVELTY_OFFSET,
            (self.short - self.centre).abs() / (self.spread + tiny),
            (self.long - self.centre).abs(),
            row.from_slow.abs() / (self.season_spread + row.doubt + tiny),
            self.flat_rows + FLAT_OFFSET,
        ]
    }

    /// Takes the row into history; at a tenth of the pace where it is known to be abnormal.
    pub(super) fn learn(&mut self, row: &Observed, abnormal: bool) {
        let step = (row.value - self.last[0]).abs();
        let cold = 1.0 / (self.rows as f64 + 1.0);
        let all = cold.max(1.0 / HISTORY_ROWS);
        self.centre += all * (row.value - self.centre);
        self.spread += all * ((row.value - self.centre).abs() - self.spread);
        let pace = if abnormal { 0.1 } else { 1.0 };
        let clipped = row.from_slow.abs().min(5.0 * self.season_spread.max(step));
        self.season_spread += pace * row.share(12.0, 100.0).max(cold) * (1.25 * clipped - self.season_spread);
        self.range.learn(row.value);
        self.last = [row.value, self.last[0], self.last[1]];
    }

    pub(super) fn close_block(&mut self) {
        self.range.close_block();
    }

    fn prediction_error(&mut self, row: &Observed) -> f64 {
        if self.rows <= SETTLED {
            return 0.0;
        }
        let unit = self.spread + 1e-9 * self.centre.abs() + f64::MIN_POSITIVE;
        let scaled = |x: f64| (x / unit).clamp(-MOST_SPREADS, MOST_SPREADS);
        let [a, b, c] = self.last.map(|x| scaled(x - self.centre));
        let inputs = [1.0, a, b, c, scaled(self.short - self.centre), scaled(row.season)];
        self.predictor.error(&inputs, scaled(row.value - self.centre))
    }
}
