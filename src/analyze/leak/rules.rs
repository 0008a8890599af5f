//! The rules of thumb that guides give for leaks, for comparison with the model.
//!
//! They know neither cycles nor warm-up and alarm on most healthy services; they are here because teams have them and want to
//! see side by side what they would have said. Rows are averaged to minutes; memory is one hour of minutes.

use std::collections::VecDeque;

use super::options::LeakOptions;
use super::verdict::{Alarm, LeakVerdict};
use crate::analyze::series::Series;

const MB: f64 = 1e6;
const MINUTE_S: f64 = 60.0;
const HOUR_S: f64 = 3600.0;
/// An alarm is cleared when no rule has held for so long.
const CLEAR_AFTER_S: f64 = HOUR_S;

/// One rule: what must hold, and for how long.
struct Rule {
    name: &'static str,
    hold_s: f64,
    holds: fn(&Hour) -> bool,
}

const RULES: [Rule; 5] = [
    Rule {
        name: "more than 100 MB in an hour",
        hold_s: 0.0,
        holds: |h| h.growth_over(HOUR_S).is_some_and(|g| g > 100.0 * MB),
    },
    Rule {
        name: "more than 50 MB an hour for 10 min",
        hold_s: 600.0,
        holds: |h| h.slope().is_some_and(|s| s > 50.0 * MB / HOUR_S),
    },
    Rule { name: "no fall in 30 min", hold_s: 0.0, holds: |h| h.rises_for(30.0 * MINUTE_S) },
    Rule {
        name: "more than 5 MB a minute for 10 min",
        hold_s: 600.0,
        holds: |h| h.growth_over(5.0 * MINUTE_S).is_some_and(|g| g > 25.0 * MB),
    },
    Rule {
        name: "more than 2 MB an hour for an hour",
        hold_s: HOUR_S,
        holds: |h| h.slope().is_some_and(|s| s > 2.0 * MB / HOUR_S),
    },
];

/// The last hour in minutes: (time, mean of the minute).
#[derive(Default)]
struct Hour {
    minutes: VecDeque<(f64, f64)>,
    rows: f64,
    /// Since when the minutes have not fallen.
    rising_since: Option<(f64, f64)>,
}

impl Hour {
    /// Takes a row; true when it begins a new minute.
    fn push(&mut self, t: f64, v: f64) -> bool {
        if let Some(last) = self.minutes.back_mut().filter(|m| t < m.0 + MINUTE_S) {
            self.rows += 1.0;
            last.1 += (v - last.1) / self.rows;
            return false;
        }
        self.follow();
        self.minutes.push_back((t, v));
        self.rows = 1.0;
        while self.minutes.front().is_some_and(|m| m.0 < t - HOUR_S - MINUTE_S) {
            self.minutes.pop_front();
        }
        true
    }

    /// Notes whether the minute that has just ended fell.
    fn follow(&mut self) {
        let mut newest = self.minutes.iter().rev();
        let (Some(last), before) = (newest.next(), newest.next()) else { return };
        let fell = before.is_some_and(|b| last.1 < b.1);
        self.rising_since = Some(self.rising_since.filter(|_| !fell).unwrap_or(*last));
    }

    fn growth_over(&self, back_s: f64) -> Option<f64> {
        let (now, value) = *self.minutes.back()?;
        let earlier = self.minutes.iter().rev().find(|m| m.0 <= now - back_s)?;
        Some(value - earlier.1)
    }

    /// Least squares over the hour, bytes per second; none before the hour is full.
    fn slope(&self) -> Option<f64> {
        let (first, last) = (self.minutes.front()?.0, self.minutes.back()?.0);
        if last - first < HOUR_S {
            return None;
        }
        let n = self.minutes.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.minutes.iter().map(of).sum::<f64>() / n;
        let (mt, mv) = (mean(|m| m.0), mean(|m| m.1));
        let (square, product) =
            self.minutes.iter().fold((0.0, 0.0), |(s, p), (t, v)| (s + (t - mt).powi(2), p + (t - mt) * (v - mv)));
        (square > 0.0).then(|| product / square)
    }

    fn rises_for(&self, long_s: f64) -> bool {
        let Some((now, value)) = self.minutes.back() else { return false };
        self.rising_since.is_some_and(|(t, v)| now - t >= long_s && *value > v)
    }
}

#[derive(Default)]
struct Watch {
    since_s: [Option<f64>; RULES.len()],
    fired: [bool; RULES.len()],
    last_held_s: Option<f64>,
    alarms: Vec<Alarm>,
    standing: bool,
}

impl Watch {
    fn judge(&mut self, now: f64, hour: &Hour) {
        let mut any = false;
        for ((rule, since), fired) in RULES.iter().zip(&mut self.since_s).zip(&mut self.fired) {
            let begun = (rule.holds)(hour).then(|| since.unwrap_or(now));
            let held = begun.is_some_and(|b| now - b >= rule.hold_s);
            (*since, *fired, any) = (begun, *fired || held, any || held);
        }
        if any {
            self.last_held_s = Some(now);
            if !self.standing {
                self.alarms.push(Alarm::raised(now));
            }
            self.standing = true;
        } else if self.standing && self.last_held_s.is_some_and(|t| now - t >= CLEAR_AFTER_S) {
            self.alarms.iter_mut().rev().take(1).for_each(|a| a.clear(now));
            self.standing = false;
        }
    }
}

/// What the rules say of a series. `confidence` is the share of the rules that hold at the end: rules know no probability.
pub fn detect(series: &Series, options: &LeakOptions) -> LeakVerdict {
    let (mut hour, mut watch) = (Hour::default(), Watch::default());
    for (t, v) in series.times_s().iter().zip(series.values()) {
        if hour.push(*t, *v) {
            watch.judge(*t, &hour);
        }
    }
    let holding = RULES.iter().filter(|r| (r.holds)(&hour)).count();
    let confidence = holding as f64 / RULES.len() as f64;
    let slope = hour.slope().filter(|_| watch.standing).unwrap_or(0.0);
    let fired =
        RULES.iter().zip(watch.fired).filter(|(_, f)| *f).map(|(r, _)| format!("rule held: {}", r.name)).collect();
    LeakVerdict::by_rules(series, watch.standing, confidence, slope, watch.alarms, fired, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(n: usize, value: impl Fn(f64) -> f64) -> Series {
        let t: Vec<f64> = (0..n).map(|i| 1.7e9 + 60.0 * i as f64).collect();
        let v = (0..n).map(|i| value(i as f64)).collect();
        Series::repaired(t, v, None)
    }

    #[test]
    fn a_hundred_megabytes_in_an_hour_is_a_leak_by_the_rules() {
        let v = detect(&minutes(200, |i| 1e9 + 2.0 * MB * i), &LeakOptions::default());
        assert!(v.leak && v.alarms.len() == 1);
        assert!((v.rate_bytes_per_hour / (120.0 * MB) - 1.0).abs() < 0.01, "{}", v.rate_bytes_per_hour);
        assert_eq!(v.alarms[0].at_s, 1.7e9 + 30.0 * 60.0);
    }

    #[test]
    fn a_level_series_is_none_and_growth_that_ends_is_cleared() {
        assert!(detect(&minutes(300, |_| 1e9), &LeakOptions::default()).alarms.is_empty());
        let v = detect(&minutes(600, |i| 1e9 + 2.0 * MB * i.min(200.0) - 1e3 * (i % 2.0)), &LeakOptions::default());
        assert!(!v.leak && v.alarms.len() == 1 && v.alarms[0].cleared_at_s.is_some(), "{:?}", v.alarms);
    }

    #[test]
    fn nothing_at_all_is_not_a_leak() {
        assert!(!detect(&Series::default(), &LeakOptions::default()).leak);
    }
}
