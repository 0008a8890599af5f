//! Rows beyond the alarm level become anomalies with a start, an end and a kind.
//!
//! ```text
//!            alarm                    nothing for a rest, or back at the old level
//!   quiet ─────────▶ open ─────────────────────────────────────────────────────────▶ closed
//!                     │ ▲ alarm, or still displaced                       (spike, dip, variance, …)
//!                     └─┘
//!                     └── displaced for a block without an alarm ────────▶ closed (level shift, slope change)
//! ```
//! The kind is decided by what raised the alarm and by whether the series returned. At most one anomaly is open.

use serde::{Deserialize, Serialize};

use super::point::{Anomaly, Kind, Severity};
use super::score::Strongest;
use super::statistics::Channel;

/// Seconds, or rows, without an alarm that end an anomaly which is back at its level.
const REST_S: f64 = 1_800.0;
const REST_ROWS: f64 = 5.0;
/// Share of the largest displacement below which the series counts as back.
const BACK: f64 = 0.5;
/// Crossings of the old level that make a movement around it.
const MANY_CROSSINGS: u32 = 6;

/// One row as the anomaly needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) timestamp_s: f64,
    pub(super) clock_s: f64,
    pub(super) value: f64,
    /// The value without its seasonal part.
    pub(super) rest: f64,
    /// The short mean before the row, without its seasonal part.
    pub(super) before: f64,
    pub(super) step_s: f64,
    pub(super) block_s: f64,
    pub(super) seasonal: bool,
}

/// An anomaly that has not ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Open {
    first: Channel,
    found: Anomaly,
    surprise: f64,
    level: f64,
    displaced: f64,
    last_alarm_clock_s: f64,
    crossings: u32,
    above: bool,
    seasonal: bool,
}

impl Open {
    pub(super) fn new(now: &Moment, alarm: Strongest) -> Open {
        let mut open = Open {
            first: alarm.channel,
            found: Anomaly {
                start_s: now.timestamp_s,
                end_s: now.timestamp_s,
                peak_s: now.timestamp_s,
                peak_value: now.value,
                severity: Severity::of(alarm.surprise),
                kind: Kind::Spike,
            },
            surprise: alarm.surprise,
            level: now.before,
            displaced: now.rest - now.before,
            last_alarm_clock_s: now.clock_s,
            crossings: 0,
            above: now.rest > now.before,
            seasonal: now.seasonal,
        };
        open.found.kind = open.kind(false);
        open
    }

    /// The anomaly as it stands.
    pub(super) fn so_far(&self) -> Anomaly {
        self.found
    }

    /// Takes the next row; the anomaly when that has ended it.
    pub(super) fn push(&mut self, now: &Moment, alarm: Option<Strongest>) -> Option<Anomaly> {
        let away = now.rest - self.level;
        if away.abs() > 0.2 * self.displaced.abs() && (away > 0.0) != self.above {
            self.above = away > 0.0;
            self.crossings = self.crossings.saturating_add(1);
        }
        if let Some(alarm) = alarm {
            self.extend(now, alarm, away);
            return None;
        }
        let back = away.abs() < BACK * self.displaced.abs();
        let since = now.clock_s - self.last_alarm_clock_s;
        if !back && since <= now.block_s {
            self.found.end_s = now.timestamp_s;
            return None;
        }
        let over = if back { since > REST_S.max(REST_ROWS * now.step_s) } else { since > now.block_s };
        over.then(|| Anomaly { kind: self.kind(!back), ..self.found })
    }

    fn extend(&mut self, now: &Moment, alarm: Strongest, away: f64) {
        self.last_alarm_clock_s = now.clock_s;
        self.found.end_s = now.timestamp_s;
        if away.abs() > self.displaced.abs() {
            self.displaced = away;
        }
        if alarm.surprise > self.surprise {
            self.surprise = alarm.surprise;
            self.found.severity = Severity::of(alarm.surprise);
            (self.found.peak_s, self.found.peak_value) = (now.timestamp_s, now.value);
        }
        self.found.kind = self.kind(false);
    }

    fn kind(&self, stayed: bool) -> Kind {
        match self.first {
            Channel::Flat => Kind::FlatLine,
            _ if self.crossings >= MANY_CROSSINGS => Kind::Variance,
            Channel::ShortMean | Channel::LongMean if self.seasonal && !stayed => Kind::SeasonBroken,
            Channel::ShortMean | Channel::LongMean => Kind::SlopeChange,
            _ if stayed => Kind::LevelShift,
            _ if self.displaced < 0.0 => Kind::Dip,
            _ => Kind::Spike,
        }
    }
}
