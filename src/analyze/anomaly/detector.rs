//! The detector: order and delegation only.

use serde::{Deserialize, Serialize};

use super::clock::{Clock, Tick};
use super::config::Config;
use super::event::{Moment, Open};
use super::level::Level;
use super::point::{Anomaly, Baseline, Point, SeasonSeen, Severity, Treatment};
use super::score::{News, Strongest, alarms, strongest};
use super::seasons::Seasons;
use super::statistics::{CHANNELS, Channel, Observed, Statistics};
use super::tail::Tail;

/// Length of a block of history: long enough to hold a burst and its echo, short enough that a day has several.
const BLOCK_S: f64 = 6.0 * 3600.0;
const BLOCK_ROWS: u32 = 48;
/// Surprise up to which a value is learned from.
const LEARN: f64 = 2.3;
/// Largest value taken: squares of it stay finite.
const LARGEST: f64 = 1e150;
/// Rows that a state may claim to have seen; leaves room to count on.
pub(super) const MOST_ROWS: u64 = 1 << 53;

/// A streaming detector for one series. `push` costs constant time (amortised) and the whole state is bounded; it can be
/// serialised at any row and continues exactly where it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct AnomalyDetector {
    config: Config,
    clock: Clock,
    rows: u64,
    model: Option<Model>,
    news: News,
    open: Option<Open>,
}

/// A detector as it was written down, which somebody may have edited since.
#[derive(Deserialize)]
struct Saved {
    config: Config,
    clock: Clock,
    rows: u64,
    model: Option<Model>,
    news: News,
    open: Option<Open>,
}

impl TryFrom<Saved> for AnomalyDetector {
    type Error = &'static str;

    fn try_from(s: Saved) -> Result<AnomalyDetector, &'static str> {
        if !(s.config.is_sound()
            && s.clock.is_sound()
            && s.rows < MOST_ROWS
            && s.model.as_ref().is_none_or(Model::is_sound))
        {
            return Err("not a state that a detector can be in");
        }
        Ok(AnomalyDetector {
            config: s.config,
            clock: s.clock,
            rows: s.rows,
            model: s.model,
            news: s.news,
            open: s.open,
        })
    }
}

/// What is learned once the usual step is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Model {
    seasons: Seasons,
    level: Level,
    statistics: Statistics,
    tails: [Tail; CHANNELS],
    band: Tail,
    block_end_s: f64,
    block_rows: u32,
}

impl AnomalyDetector {
    /// A detector that knows nothing yet.
    pub fn new(config: Config) -> AnomalyDetector {
        AnomalyDetector { config, clock: Clock::new(), rows: 0, model: None, news: News::default(), open: None }
    }

    /// Takes the next row: its point, and the anomaly that this row has ended, if any. Rows come in the order they are known;
    /// what cannot be used is answered with a [`Treatment`].
    pub fn push(&mut self, time_s: f64, value: f64) -> (Point, Option<Anomaly>) {
        let mut point = unanswered(time_s, value);
        if !(time_s.is_finite() && value.abs() <= LARGEST) {
            point.treatment = Some(Treatment::NotFinite);
            return (point, None);
        }
        self.rows += 1;
        let Tick::Row { dt_s, in_order } = self.clock.tick(time_s) else { return (point, None) };
        let step_s = self.clock.step_s().unwrap_or(dt_s);
        if !in_order {
            point.treatment = Some(Treatment::TimeNotAfterPrevious);
        }
        match &mut self.model {
            None => {
                self.model = Some(Model::new(step_s, value));
                (point, None)
            }
            Some(_) => self.judge(point, dt_s, step_s),
        }
    }

    /// The anomaly that has not ended yet, as it stands.
    pub fn open_anomaly(&self) -> Option<Anomaly> {
        self.open.as_ref().map(Open::so_far)
    }

    /// Seasons of the history remembered, strongest first. Searched anew at each call: some milliseconds.
    pub fn seasonality(&self) -> Vec<SeasonSeen> {
        self.model.as_ref().map(|m| m.seasons.verdict()).unwrap_or_default()
    }

    /// What is taken for normal at present.
    pub fn baseline(&self) -> Baseline {
        let history = self.model.as_ref().map(|m| m.statistics.history());
        Baseline {
            rows: self.rows,
            step_s: self.clock.step_s(),
            level: self.model.as_ref().map(|m| m.level.fast),
            mean: history.map(|h| h.0),
            spread: history.map(|h| h.1),
            warm: self.model.as_ref().is_some_and(Model::is_warm),
        }
    }

    fn judge(&mut self, mut point: Point, dt_s: f64, step_s: f64) -> (Point, Option<Anomaly>) {
        let Some(model) = &mut self.model else { return (point, None) };
        let now_s = self.clock.now_s;
        let block_s = block_s(step_s);
        let row = model.row(&point, now_s, dt_s, step_s);
        let before = model.statistics.short_mean() - row.season;
        model.expect(&mut point, &row, self.config.alarm);
        let statistics = model.statistics.observe(&row);
        let surprises: [f64; CHANNELS] = std::array::from_fn(|i| model.tails[i].surprise(statistics[i]));
        let moment = Moment {
            timestamp_s: point.timestamp_s,
            clock_s: now_s,
            value: point.value,
            rest: point.value - row.season,
            before,
            step_s,
            block_s,
            seasonal: model.seasons.any(),
        };
        model.learn(&row, &statistics, &surprises, now_s, block_s);
        point.score = self.news.score(strongest(&surprises, |_| true).surprise, now_s, block_s);
        let alarm = Some(strongest(&surprises, alarms)).filter(|a| a.surprise >= self.config.alarm);
        point.anomaly = alarm.is_some();
        point.severity = alarm.map(|a| Severity::of(a.surprise));
        (point, self.follow(&moment, alarm))
    }

    fn follow(&mut self, now: &Moment, alarm: Option<Strongest>) -> Option<Anomaly> {
        let Some(open) = &mut self.open else {
            self.open = alarm.map(|a| Open::new(now, a));
            return None;
        };
        let ended = open.push(now, alarm);
        if ended.is_some() {
            self.open = None;
        }
        ended
    }
}

impl Model {
    fn new(step_s: f64, value: f64) -> Model {
        let tail = |c: Channel| if c.is_sudden() { Tail::sudden() } else { Tail::gradual() };
        Model {
            seasons: Seasons::new(step_s),
            level: Level::new(value),
            statistics: Statistics::new(value),
            tails: Channel::ALL.map(tail),
            band: Tail::sudden(),
            block_end_s: block_s(step_s),
            block_rows: 0,
        }
    }

    /// Whether rows can be pushed into it: lengths fit, widths are above zero, counters have room.
    fn is_sound(&self) -> bool {
        let tails = self.tails.iter().chain([&self.band]).all(Tail::is_sound);
        tails
            && self.seasons.is_sound()
            && self.statistics.is_sound()
            && self.level.is_sound()
            && self.block_rows < u32::MAX / 2
    }

    fn is_warm(&self) -> bool {
        self.tails[0].level(0.0).is_some()
    }

    fn row(&self, point: &Point, now_s: f64, dt_s: f64, step_s: f64) -> Observed {
        let (season, doubt) = self.seasons.at(now_s);
        let from_slow = point.value - season - self.level.slow;
        Observed { value: point.value, dt_s, step_s, season, doubt, from_slow }
    }

    fn expect(&self, point: &mut Point, row: &Observed, alarm: f64) {
        let expected = row.season + self.level.fast;
        point.expected = Some(expected);
        let half = self.band.level(alarm).map(|l| l * (self.statistics.season_spread() + row.doubt));
        point.lower = half.map(|h| expected - h);
        point.upper = half.map(|h| expected + h);
    }

    fn learn(&mut self, row: &Observed, z: &[f64; CHANNELS], surprises: &[f64; CHANNELS], now_s: f64, block_s: f64) {
        let abnormal = surprises.iter().any(|s| *s > LEARN);
        self.tails.iter_mut().zip(z).for_each(|(tail, z)| tail.learn(*z, LEARN));
        let from_fast = row.value - row.season - self.level.fast;
        let tolerance = self.statistics.season_spread() + row.doubt;
        if tolerance > 0.0 {
            self.band.learn(from_fast.abs() / tolerance, LEARN);
        }
        self.level.learn(row, from_fast, 8.0 * tolerance, abnormal);
        self.statistics.learn(row, abnormal);
        if self.seasons.push(now_s, row.value) {
            self.start_over();
        }
        self.block_rows += 1;
        if now_s >= self.block_end_s && self.block_rows >= BLOCK_ROWS {
            self.close_block(now_s + block_s);
        }
    }

    /// Other seasons: what was learned of distances from the old ones says nothing about the new.
    fn start_over(&mut self) {
        if let Some((fast, slow)) = self.seasons.levels() {
            (self.level.fast, self.level.slow) = (fast, slow);
        }
        self.band = Tail::sudden();
        self.tails[Channel::Season as usize] = Tail::gradual();
    }

    fn close_block(&mut self, next_end_s: f64) {
        self.tails.iter_mut().for_each(Tail::close_block);
        self.band.close_block();
        self.statistics.close_block();
        (self.block_end_s, self.block_rows) = (next_end_s, 0);
    }
}

fn block_s(step_s: f64) -> f64 {
    BLOCK_S.max(f64::from(BLOCK_ROWS) * step_s)
}

fn unanswered(timestamp_s: f64, value: f64) -> Point {
    Point {
        timestamp_s,
        value,
        expected: None,
        lower: None,
        upper: None,
        score: 0.0,
        anomaly: false,
        severity: None,
        treatment: None,
    }
}
