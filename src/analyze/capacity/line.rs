//! A straight line through daily values, carried forward with an interval.

use serde::Serialize;

use crate::analyze::sizing::days::DAY_S;
use crate::analyze::time::rfc3339;
use crate::analyze::trend;

/// Fewer days have no trend.
pub const MIN_DAYS: usize = 4;
/// One-sided 5 % point of the normal distribution: the trend's test, and half the 90 % interval of a day.
const Z90: f64 = 1.645;
/// Nothing is carried further: ten years.
const FAR_S: f64 = 3650.0 * DAY_S;

/// The line. Values in bytes, slopes in bytes a day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    /// Where the line is now.
    pub level_bytes: f64,
    /// Growth; 0 when no test confirms any.
    pub per_day: f64,
    /// Lower end of the slope's 90 % interval.
    pub per_day_lower: f64,
    /// Upper end of the slope's 90 % interval.
    pub per_day_upper: f64,
    /// Half the width in which nine of ten days lie around the line.
    pub spread_bytes: f64,
    /// A Mann–Kendall test confirms that it grows or falls (two sides, 10 %).
    pub confirmed: bool,
}

/// When a line meets a capacity, RFC 3339 with its twin in epoch seconds; `None`: not within ten years.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Meeting {
    /// By the line itself.
    pub expected: Option<String>,
    /// See `expected`.
    pub expected_s: Option<f64>,
    /// By the upper end of the interval.
    pub earliest: Option<String>,
    /// See `earliest`.
    pub earliest_s: Option<f64>,
    /// By the lower end of the interval.
    pub latest: Option<String>,
    /// See `latest`.
    pub latest_s: Option<f64>,
}

impl Meeting {
    /// From epoch seconds.
    pub fn at(expected_s: Option<f64>, earliest_s: Option<f64>, latest_s: Option<f64>) -> Meeting {
        let text = |t: Option<f64>| t.and_then(rfc3339);
        Meeting {
            expected: text(expected_s),
            expected_s,
            earliest: text(earliest_s),
            earliest_s,
            latest: text(latest_s),
            latest_s,
        }
    }
}

impl Line {
    /// The line through `peaks`, one a day, the last being now; `None` under [`MIN_DAYS`].
    pub fn through(peaks: &[f64]) -> Option<Line> {
        if peaks.len() < MIN_DAYS {
            return None;
        }
        let days: Vec<f64> = (0..peaks.len()).map(|i| i as f64).collect();
        let slope = trend::theil_sen(&days, peaks)?;
        let confirmed = trend::mann_kendall(peaks).is_some_and(|t| t.z.abs() > Z90);
        let per_day = if confirmed { slope.per_s } else { 0.0 };
        let last = *days.last()?;
        let mut levels: Vec<f64> = days.iter().zip(peaks).map(|(d, p)| p - per_day * (d - last)).collect();
        let level_bytes = trend::median(&mut levels)?;
        let mut off: Vec<f64> = levels.iter().map(|l| (l - level_bytes).abs()).collect();
        // The median absolute deviation is 0.6745 standard deviations of a normal variable.
        let spread_bytes = Z90 * trend::median(&mut off)? / 0.6745;
        let (per_day_lower, per_day_upper) = (slope.lower.min(per_day), slope.upper.max(per_day));
        Some(Line { level_bytes, per_day, per_day_lower, per_day_upper, spread_bytes, confirmed })
    }

    /// Mean, lower and upper end of the 90 % interval after `days`; never below zero.
    pub fn after(&self, days: f64) -> (f64, f64, f64) {
        let at = |per_day: f64, spread: f64| (self.level_bytes + per_day * days + spread).max(0.0);
        (at(self.per_day, 0.0), at(self.per_day_lower, -self.spread_bytes), at(self.per_day_upper, self.spread_bytes))
    }

    /// The line at another level and growth, as a scenario has it; its interval scales with them.
    pub fn under(&self, level_bytes: f64, per_day: f64) -> Line {
        let growth = if self.per_day == 0.0 { 1.0 } else { per_day / self.per_day };
        let size = if self.level_bytes > 0.0 { level_bytes / self.level_bytes } else { 1.0 };
        Line {
            level_bytes,
            per_day,
            per_day_lower: self.per_day_lower * growth,
            per_day_upper: self.per_day_upper * growth,
            spread_bytes: self.spread_bytes * size,
            confirmed: self.confirmed,
        }
    }

    /// When `capacity` bytes are met from `now_s` on. Without a confirmed growth only what is met already is met.
    pub fn meets(&self, capacity: f64, now_s: f64) -> Meeting {
        let when = |per_day: f64, spread: f64| {
            let left = capacity - self.level_bytes - spread;
            if left <= 0.0 {
                return Some(now_s);
            }
            let grows = self.confirmed && self.per_day > 0.0 && per_day > 0.0;
            let after_s = left / per_day * DAY_S;
            (grows && after_s < FAR_S).then_some(now_s + after_s)
        };
        Meeting::at(
            when(self.per_day, 0.0),
            when(self.per_day_upper, self.spread_bytes),
            when(self.per_day_lower, -self.spread_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_rise_meets_its_limit_on_the_day() {
        let peaks: Vec<f64> = (0..14).map(|d| 1000.0 + 10.0 * f64::from(d)).collect();
        let line = Line::through(&peaks).unwrap();
        assert!((line.level_bytes - 1130.0).abs() < 1e-6 && (line.per_day - 10.0).abs() < 1e-9 && line.confirmed);
        let met = line.meets(1230.0, 0.0).expected_s.unwrap();
        assert!((met / DAY_S - 10.0).abs() < 1e-6);
        assert_eq!(line.meets(1100.0, 5.0).expected_s, Some(5.0), "met already");
    }

    #[test]
    fn a_level_never_meets_and_an_interval_brackets() {
        let flat: Vec<f64> = (0..14).map(|d| 1000.0 + f64::from(d * 7 % 5)).collect();
        assert_eq!(Line::through(&flat).unwrap().meets(2000.0, 0.0), Meeting::default());
        let rough: Vec<f64> = (0..20).map(|d| 1000.0 + 10.0 * f64::from(d) + 8.0 * f64::from(d * 7 % 5 - 2)).collect();
        let m = Line::through(&rough).unwrap().meets(2000.0, 0.0);
        let (early, mid, late) = (m.earliest_s.unwrap(), m.expected_s.unwrap(), m.latest_s.unwrap());
        assert!(early < mid && mid < late, "{early} {mid} {late}");
        assert_eq!(Line::through(&[1.0, 2.0, 3.0]), None);
    }
}
