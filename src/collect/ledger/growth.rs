//! Which term of the ledger grows, from the history of all terms.
//!
//! The history is bounded in two parts: the recent past in full, and the whole life at a spacing that doubles whenever
//! the room is used up. A term grows when, in one of the two, nearly all pairs of its points rise and the median slope
//! (Theil 1950, Sen 1968) amounts to something over the time seen. A single spike moves neither.

use std::collections::VecDeque;

/// The terms in the order of their columns.
pub const TERMS: [&str; 5] = ["live_heap", "allocator_overhead", "stacks", "mapped_files", "anonymous_other"];

/// Points that each part holds.
const POINTS: usize = 64;
/// Fewer points say nothing.
const POINTS_NEEDED: usize = 8;
/// Of all pairs of points, how many more rise than fall (Kendall's tau). Of eight points of pure noise, fewer than one
/// series in fifty gets there.
const TAU_NEEDED: f64 = 0.6;
/// Growth that matters: this many bytes and this share of RSS, over the time seen.
const GROWTH_NEEDED_BYTES: f64 = (1u64 << 20) as f64;
const GROWTH_NEEDED_RATIO: f64 = 0.02;

/// One moment of the ledger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Epoch seconds.
    pub time_s: f64,
    /// Resident bytes.
    pub rss_bytes: f64,
    /// Resident bytes of each of [`TERMS`].
    pub terms: [f64; TERMS.len()],
}

/// The bounded past of the ledger.
#[derive(Debug, Clone)]
pub struct History {
    recent: VecDeque<Point>,
    life: Vec<Point>,
    life_every: usize,
    seen: usize,
}

impl Default for History {
    fn default() -> History {
        History { recent: VecDeque::new(), life: Vec::new(), life_every: 1, seen: 0 }
    }
}

impl History {
    /// Adds a point. One that is not finite, or not later than the last, is left out: a clock that jumps back must not
    /// turn a fall into a rise.
    pub fn push(&mut self, point: Point) {
        let finite =
            point.time_s.is_finite() && point.rss_bytes.is_finite() && point.terms.iter().all(|t| t.is_finite());
        if !finite || self.recent.back().is_some_and(|last| point.time_s <= last.time_s) {
            return;
        }
        if self.recent.len() == POINTS {
            self.recent.pop_front();
        }
        self.recent.push_back(point);
        if self.seen.is_multiple_of(self.life_every) {
            self.push_life(point);
        }
        self.seen += 1;
    }

    fn push_life(&mut self, point: Point) {
        self.life.push(point);
        if self.life.len() == POINTS {
            let mut keep = false;
            self.life.retain(|_| {
                keep = !keep;
                keep
            });
            self.life_every *= 2;
        }
    }

    /// The term that grew most over the whole life, else over the recent past; `None` while none did.
    pub fn growing_term(&self) -> Option<&'static str> {
        let recent: Vec<Point> = self.recent.iter().copied().collect();
        growing_term(&self.life).or_else(|| growing_term(&recent))
    }
}

/// The term that grew most among those that grew.
fn growing_term(points: &[Point]) -> Option<&'static str> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < POINTS_NEEDED {
        return None;
    }
    let needed = GROWTH_NEEDED_BYTES.max(GROWTH_NEEDED_RATIO * last.rss_bytes);
    let growth = |term: usize| {
        let (slope, tau) = slope_and_tau(points, |point| point.terms[term])?;
        let bytes = slope * (last.time_s - first.time_s);
        (tau >= TAU_NEEDED && bytes >= needed).then_some(bytes)
    };
    let grown = (0..TERMS.len()).filter_map(|term| Some((TERMS[term], growth(term)?)));
    grown.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name)
}

/// The median of the slopes of all pairs, and by how much more of them rise than fall (−1 to 1).
fn slope_and_tau(points: &[Point], value: impl Fn(&Point) -> f64) -> Option<(f64, f64)> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, a) in points.iter().enumerate() {
        slopes.extend(points.iter().skip(i + 1).map(|b| (value(b) - value(a)) / (b.time_s - a.time_s)));
    }
    if slopes.is_empty() {
        return None;
    }
    let balance: f64 = slopes.iter().map(|&s| f64::from(i8::from(s > 0.0) - i8::from(s < 0.0))).sum();
    let tau = balance / slopes.len() as f64;
    let middle = slopes.len() / 2;
    let slope = *slopes.select_nth_unstable_by(middle, f64::total_cmp).1;
    Some((slope, tau))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1048576.0;

    fn history(n: usize, terms: impl Fn(usize) -> [f64; 5]) -> History {
        let mut history = History::default();
        for i in 0..n {
            let terms = terms(i);
            history.push(Point { time_s: 10.0 * i as f64, rss_bytes: terms.iter().sum(), terms });
        }
        history
    }

    #[test]
    fn the_term_that_grows_most_is_named() {
        let grows = |i: usize| [20.0 * MIB, (5.0 + i as f64) * MIB, (1.0 + 0.2 * i as f64) * MIB, 3.0 * MIB, 0.0];
        assert_eq!(history(7, grows).growing_term(), None, "too few points");
        assert_eq!(history(20, grows).growing_term(), Some("allocator_overhead"));
    }

    #[test]
    fn a_step_long_ago_a_spike_and_a_fall_are_not_growth() {
        let step = |i: usize| [if i < 5 { 1.0 } else { 80.0 } * MIB, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(history(100, step).growing_term(), None);
        let spike = |i: usize| [0.0, if i == 30 { 500.0 } else { 5.0 } * MIB, 0.0, 0.0, 0.0];
        assert_eq!(history(60, spike).growing_term(), None);
        let fall = |i: usize| [(100.0 - i as f64) * MIB; 5];
        assert_eq!(history(60, fall).growing_term(), None);
    }

    #[test]
    fn late_growth_is_seen_in_the_recent_past_and_slow_growth_over_life() {
        let late = |i: usize| [50.0 * MIB, 0.0, 0.0, 0.0, (i.saturating_sub(5000)) as f64 * 0.1 * MIB];
        assert_eq!(history(5100, late).growing_term(), Some("anonymous_other"));
        let slow = |i: usize| [50.0 * MIB + i as f64 * 1000.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(history(64, slow).growing_term(), None);
        assert_eq!(history(5000, slow).growing_term(), Some("live_heap"));
    }

    #[test]
    fn memory_is_bounded_and_bad_points_are_left_out() {
        let mut h = history(100_000, |_| [0.0; 5]);
        assert!(h.recent.len() <= POINTS && h.life.len() < POINTS && h.life.capacity() <= 2 * POINTS);
        let before = h.seen;
        h.push(Point { time_s: 5.0, rss_bytes: 1.0, terms: [0.0; 5] });
        h.push(Point { time_s: 1e9, rss_bytes: f64::NAN, terms: [0.0; 5] });
        assert_eq!(h.seen, before);
    }

    /// 2,000 seeded series of eight points of noise in one term, all large enough to matter: at most 2 % may be called
    /// growth (60 are the declared bound: 40 expected at most, plus three standard deviations).
    #[test]
    fn noise_is_seldom_called_growth() {
        let mut state = 7u64;
        let mut noise = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as f64 / (1u64 << 31) as f64
        };
        let mut alarms = 0;
        for _ in 0..2000 {
            let values: Vec<f64> = (0..8).map(|_| noise() * 500.0 * MIB).collect();
            alarms += usize::from(history(8, |i| [values[i], 0.0, 0.0, 0.0, 0.0]).growing_term().is_some());
        }
        assert!(alarms <= 60, "{alarms} of 2000");
    }
}
