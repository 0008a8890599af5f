//! The seasons known so far, found again and again from the past alone.
//!
//! [`crate::analyze::season`] judges a whole series; here its verdict is asked for as time goes on, each time the history has grown by
//! a given share, on at most [`CELLS`] cells, so the cost of all searches together stays linear in the rows. In between,
//! profiles are rebuilt from the slots eight times a period. Not found: a season shorter than four slots, or one that
//! has not been seen twice.

use serde::{Deserialize, Serialize};

use super::profile::{Profile, median};
use super::slots::Slots;
use crate::analyze::season::{SeasonOptions, find_in};

/// Cells a search looks at; more finds shorter seasons in longer histories and costs in proportion.
const CELLS: usize = 512;
/// Slots before the first search.
const FIRST_SEARCH: usize = 64;
/// The history has grown by this share when it is searched again. Smaller finds a new season sooner, and costs more.
const GROWTH: f64 = 0.4;
/// Seasons used at once.
const MOST: usize = 2;
/// Rebuilds of the profiles in a period.
const REBUILDS: f64 = 8.0;
/// Slots a period keeps at least when slots are merged.
const LEAST_SLOTS: f64 = 24.0;
/// Periods that calendars and schedulers cause. One found within its own resolution of these is taken to be it.
const CALENDAR_S: [f64; 4] = [3_600.0, 43_200.0, 86_400.0, 604_800.0];
/// Relative distance at which two periods count as one.
const SAME: f64 = 0.03;

/// Slots of the past and the profiles made of them, strongest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Seasons {
    slots: Slots,
    profiles: Vec<Profile>,
    next_search_s: f64,
    next_build_s: f64,
}

impl Seasons {
    pub(super) fn new(step_s: f64) -> Seasons {
        let first = FIRST_SEARCH as f64 * step_s;
        Seasons { slots: Slots::new(step_s), profiles: Vec::new(), next_search_s: first, next_build_s: first }
    }

    /// Strongest first.
    pub(super) fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The seasonal part at a time, and how uncertain it is.
    pub(super) fn at(&self, clock_s: f64) -> (f64, f64) {
        let add = |(value, doubt): (f64, f64), p: &Profile| {
            let (v, d) = p.at(clock_s);
            (value + v, doubt.max(d))
        };
        self.profiles.iter().fold((0.0, 0.0), add)
    }

    /// Takes a row. True when the seasons are others than before: residuals of old and new do not compare.
    pub(super) fn push(&mut self, clock_s: f64, value: f64) -> bool {
        let shortest = self.profiles.iter().map(|p| p.period_s).fold(f64::MAX, f64::min);
        if !self.slots.push(clock_s, value, shortest / LEAST_SLOTS) || clock_s < self.next_build_s {
            return false;
        }
        let before: Vec<f64> = self.profiles.iter().map(|p| p.period_s).collect();
        if clock_s >= self.next_search_s {
            self.next_search_s = clock_s * (1.0 + GROWTH);
            let found = self.search();
            self.build(&found);
        } else {
            let known: Vec<(f64, f64)> = self.profiles.iter().map(|p| (p.period_s, p.strength)).collect();
            self.build(&known);
        }
        let pause = self.profiles.iter().map(|p| p.period_s / REBUILDS).fold(f64::MAX, f64::min);
        self.next_build_s = self.next_search_s.min(clock_s + pause);
        self.profiles.len() != before.len() || self.profiles.iter().zip(before).any(|(p, b)| !same(p.period_s, b))
    }

    /// Medians of what is left without the seasons: over the last hour, and over the last two periods.
    pub(super) fn levels(&self) -> Option<(f64, f64)> {
        let n = self.slots.means().len();
        let width = self.slots.width_s();
        let longest = self.profiles.iter().map(|p| p.period_s).fold(0.0, f64::max);
        let slots = if longest > 0.0 { (2.0 * longest / width) as usize } else { n };
        let mut rest = self.without_seasons(n.saturating_sub(slots.max(16)));
        let hour = ((3600.0 / width) as usize).clamp(1, rest.len().max(1));
        let mut last = rest.get(rest.len().checked_sub(hour)?..)?.to_vec();
        Some((median(&mut last), median(&mut rest)))
    }

    fn search(&self) -> Vec<(f64, f64)> {
        let means = self.slots.means();
        let merged = means.len().div_ceil(CELLS).max(1);
        let cells: Vec<f64> = means.chunks_exact(merged).map(|c| c.iter().sum::<f64>() / merged as f64).collect();
        let cell_s = self.slots.width_s() * merged as f64;
        let options = SeasonOptions { most: MOST, ..SeasonOptions::default() };
        find_in(&cells, &options).iter().map(|s| (calendar(s.period_rows * cell_s, cell_s), s.strength)).collect()
    }

    fn build(&mut self, seasons: &[(f64, f64)]) {
        self.profiles.clear();
        for (period_s, strength) in seasons {
            let rest = self.without_seasons(0);
            self.profiles.extend(Profile::build(&self.slots, &rest, *period_s, *strength));
        }
    }

    fn without_seasons(&self, from: usize) -> Vec<f64> {
        let middle = |i: usize| self.slots.start_s() + (i as f64 + 0.5) * self.slots.width_s();
        self.slots.means().iter().enumerate().skip(from).map(|(i, x)| x - self.at(middle(i)).0).collect()
    }
}

fn calendar(period_s: f64, cell_s: f64) -> f64 {
    let near = |c: &&f64| (period_s - **c).abs() < (SAME * **c).max(cell_s) && **c > 6.0 * cell_s;
    CALENDAR_S.iter().find(near).copied().unwrap_or(period_s)
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * b
}
