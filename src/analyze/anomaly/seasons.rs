//! The main season known so far, found again and again from the past alone, and its profile.
//!
//! A quick look ([`super::autocorrelation`]) is taken each time the history has grown by an eighth, so the cost of all looks
//! together stays linear in the rows; in between, the profile is rebuilt eight times a period. What is *reported* is
//! the verdict of [`crate::analyze::season`] on the same history, asked for when it is wanted. Not found: a season shorter
//! than four slots, or one that has not been seen twice.

use serde::{Deserialize, Serialize};

use super::autocorrelation;
use super::point::SeasonSeen;
use super::profile::{Profile, median};
use super::slots::Slots;
use crate::analyze::season::{SeasonOptions, find_in};

/// Slots before the first look.
const FIRST_LOOK: usize = 48;
/// The history has grown by this share when it is looked at again. Smaller finds a season sooner, and costs more.
const GROWTH: f64 = 0.125;
/// Rebuilds of the profile in a period.
const REBUILDS: f64 = 8.0;
/// Slots a period keeps at least when slots are merged.
const LEAST_SLOTS: f64 = 24.0;
/// Cells the verdict looks at.
const VERDICT_CELLS: usize = 2048;
/// Periods that calendars and schedulers cause. One found within its own resolution of these is taken to be it.
const CALENDAR_S: [f64; 4] = [3_600.0, 43_200.0, 86_400.0, 604_800.0];
/// Relative distance at which a period is taken for one of the calendar's, and at which it has become another.
const SAME: f64 = 0.03;
const OTHER: f64 = 0.1;

/// Slots of the past and the profile made of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Seasons {
    slots: Slots,
    profile: Option<Profile>,
    next_look_s: f64,
    next_build_s: f64,
}

impl Seasons {
    pub(super) fn new(step_s: f64) -> Seasons {
        let first = FIRST_LOOK as f64 * step_s;
        Seasons { slots: Slots::new(step_s), profile: None, next_look_s: first, next_build_s: first }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.slots.is_sound() && self.profile.as_ref().is_none_or(Profile::is_sound)
    }

    /// Whether a season is in use.
    pub(super) fn any(&self) -> bool {
        self.profile.is_some()
    }

    /// The seasonal part at a time, and how uncertain it is.
    pub(super) fn at(&self, clock_s: f64) -> (f64, f64) {
        self.profile.as_ref().map_or((0.0, 0.0), |p| p.at(clock_s))
    }

    /// Takes a row. True when the season is another than before: residuals of old and new do not compare.
    pub(super) fn push(&mut self, clock_s: f64, value: f64) -> bool {
        let known = self.profile.as_ref().map(|p| p.period_s);
        let widest = known.map_or(f64::MAX, |p| p / LEAST_SLOTS);
        if !self.slots.push(clock_s, value, widest) || clock_s < self.next_build_s {
            return false;
        }
        let mut period = known;
        if clock_s >= self.next_look_s {
            self.next_look_s = clock_s * (1.0 + GROWTH);
            period = self.look();
        }
        self.profile = period.and_then(|p| Profile::build(&self.slots, self.slots.means(), p));
        let now = self.profile.as_ref().map(|p| p.period_s);
        self.next_build_s = self.next_look_s.min(now.map_or(f64::MAX, |p| clock_s + p / REBUILDS));
        match (known, now) {
            (Some(a), Some(b)) => (a - b).abs() > OTHER * a,
            (a, b) => a != b,
        }
    }

    /// Medians of what is left without the season: over the last hour, and over the last two periods.
    pub(super) fn levels(&self) -> Option<(f64, f64)> {
        let width = self.slots.width_s();
        let means = self.slots.means();
        let slots = self.profile.as_ref().map_or(means.len(), |p| (2.0 * p.period_s / width) as usize);
        let from = means.len().saturating_sub(slots.max(16));
        let middle = |i: usize| self.slots.start_s() + (i as f64 + 0.5) * width;
        let mut rest: Vec<f64> = means.iter().enumerate().skip(from).map(|(i, x)| x - self.at(middle(i)).0).collect();
        let hour = ((3600.0 / width) as usize).clamp(1, rest.len().max(1));
        let mut last = rest.get(rest.len().checked_sub(hour)?..)?.to_vec();
        Some((median(&mut last), median(&mut rest)))
    }

    /// The seasons of the history, strongest first.
    pub(super) fn verdict(&self) -> Vec<SeasonSeen> {
        let merged = self.slots.means().len().div_ceil(VERDICT_CELLS).max(1);
        let cells: Vec<f64> =
            self.slots.means().chunks_exact(merged).map(|c| c.iter().sum::<f64>() / merged as f64).collect();
        let cell_s = self.slots.width_s() * merged as f64;
        let seen = find_in(&cells, &SeasonOptions::default());
        seen.iter().map(|s| SeasonSeen { period_s: s.period_rows * cell_s, strength: s.strength }).collect()
    }

    fn look(&self) -> Option<f64> {
        let width = self.slots.width_s();
        let (slots, _) = autocorrelation::period(self.slots.means())?;
        Some(calendar(slots * width, width))
    }
}

fn calendar(period_s: f64, slot_s: f64) -> f64 {
    let near = |c: &&f64| (period_s - **c).abs() < (SAME * **c).max(slot_s) && **c > 6.0 * slot_s;
    CALENDAR_S.iter().find(near).copied().unwrap_or(period_s)
}
