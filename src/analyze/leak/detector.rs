//! The streaming detector: rows in, alarm changes out, a verdict at any time.
//!
//! It looks at its history at geometrically spaced times, so that cost per row stays constant however long it runs, and
//! never at a row later than the one pushed. Memory is bounded by the history and by [`MOST_ALARMS`]. The state is plain
//! data: save it with serde, restore it, and it goes on.

use serde::{Deserialize, Serialize};

use super::alarm::{AlarmChange, Pager};
use super::history::History;
use super::look::{LEAST_SPAN_S, Look};
use super::options::LeakOptions;
use super::verdict::{Alarm, LeakVerdict};
use crate::analyze::series::Series;

/// Looks are this share of the history apart, once it is long.
const LOOK_EVERY: f64 = 0.03;
/// While it is short, looks are at least this share of the least span apart.
const LOOK_EVERY_YOUNG_S: f64 = 1200.0;
/// The most past alarms that are remembered, the newest first to stay.
pub const MOST_ALARMS: usize = 64;

/// Detects leaks in one series, row by row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StreamingLeak {
    options: LeakOptions,
    history: History,
    pager: Pager,
    next_look_s: f64,
    alarms: Vec<Alarm>,
    has_load: bool,
    skipped: u64,
}

impl StreamingLeak {
    /// A detector that has seen nothing.
    pub fn new(options: LeakOptions) -> StreamingLeak {
        StreamingLeak { options, ..StreamingLeak::default() }
    }

    /// Takes the next row: epoch seconds, bytes, and the relative load where known. A row that is not finite or not later
    /// than the last is skipped and counted ([`StreamingLeak::skipped`]).
    pub fn push(&mut self, time_s: f64, value: f64, load: Option<f64>) -> Option<AlarmChange> {
        let late = self.history.last().is_some_and(|(last, _)| time_s <= last);
        if !time_s.is_finite() || !value.is_finite() || late {
            self.skipped += 1;
            return None;
        }
        self.has_load |= load.is_some();
        self.history.push(time_s, value, load.filter(|l| l.is_finite()).unwrap_or(0.0));
        let span = self.history.span_s();
        if span < self.next_look_s.max(LEAST_SPAN_S) {
            return None;
        }
        self.next_look_s = span + (LOOK_EVERY * span).max((0.05 * span).clamp(120.0, LOOK_EVERY_YOUNG_S));
        let look = Look::at(&self.history)?;
        let change = self.pager.hear(time_s, span, look.probability)?;
        self.record(change);
        Some(change)
    }

    fn record(&mut self, change: AlarmChange) {
        match change {
            AlarmChange::Raised { at_s, .. } => self.alarms.push(Alarm::raised(at_s)),
            AlarmChange::Cleared { at_s } => self.alarms.iter_mut().rev().take(1).for_each(|a| a.clear(at_s)),
        }
        if self.alarms.len() > MOST_ALARMS {
            self.alarms.remove(0);
        }
    }

    /// Rows that were not finite or came too late.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The verdict on all rows so far. Costs one look.
    pub fn verdict(&self) -> LeakVerdict {
        LeakVerdict::of(&self.history, self.has_load, &self.options, self.alarms.clone())
    }
}

/// The verdict on a whole series, with the alarms that a detector watching it live would have raised.
pub fn detect(series: &Series, options: &LeakOptions) -> LeakVerdict {
    let mut detector = StreamingLeak::new(options.clone());
    let load = |i: usize| series.load().and_then(|l| l.get(i).copied());
    for (i, (t, v)) in series.times_s().iter().zip(series.values()).enumerate() {
        detector.push(*t, *v, load(i));
    }
    detector.verdict()
}
