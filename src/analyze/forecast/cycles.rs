//! Which seasons the models are given: one, or a short one and a long one.
//!
//! The calendar is believed before the data: people and batch jobs have days and weeks, and a day that is too weak to stand
//! out still improves a forecast. A season found in the data takes its place only when it explains the series and the day
//! does not.

use super::super::season::{self, Season, SeasonOptions};

const DAY_S: f64 = 86_400.0;
const WEEK_S: f64 = 7.0 * DAY_S;
/// Days and weeks that the rows must span before the calendar is believed without evidence.
const CALENDAR_FITS: f64 = 2.2;
/// Strength from which a season of no calendar is taken where no day is in sight.
const CLEAR: f64 = 0.25;
/// Correlation of the rows with those a day before from which the search, which costs more than the forecast, is saved.
const EVIDENT: f64 = 0.3;

/// Season lengths in rows, shortest first; at most two, and none where nothing repeats.
pub(super) fn cycles(values: &[f64], step_s: f64, told_rows: Option<usize>) -> Vec<usize> {
    let week = calendar_rows(values.len(), step_s, WEEK_S);
    if let Some(told) = told_rows {
        let told = Some(told).filter(|m| *m >= 2 && 2 * m <= values.len());
        return told.into_iter().chain(week.filter(|w| told.is_some_and(|m| *w >= 2 * m))).collect();
    }
    let day = calendar_rows(values.len(), step_s, DAY_S);
    if let Some(day) = day.filter(|d| correlation(values, *d) > EVIDENT) {
        return std::iter::once(day).chain(week).collect();
    }
    let found = season::find_in(values, &SeasonOptions { most: 3, ..SeasonOptions::default() });
    match (day, foreign(&found, day, week)) {
        (_, Some(stranger)) => vec![stranger],
        (Some(day), None) => std::iter::once(day).chain(week).collect(),
        (None, None) => Vec::new(),
    }
}

/// A day or a week in rows, when it is a whole number of them and fits often enough.
fn calendar_rows(rows: usize, step_s: f64, period_s: f64) -> Option<usize> {
    let length = period_s / step_s;
    let whole = length.round();
    let even = (length - whole).abs() <= 0.02 * length / (rows as f64 / length).max(1.0);
    (even && whole >= 4.0 && rows as f64 >= CALENDAR_FITS * whole).then_some(whole as usize)
}

/// The strongest season that is no day, no week, and no part or multiple of a day — unless a day was found beside it.
fn foreign(found: &[Season], day: Option<usize>, week: Option<usize>) -> Option<usize> {
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.03;
    let of_calendar = |s: &Season| {
        let whole_days = day.is_some_and(|d| {
            s.period_rows > 0.9 * d as f64 && near((s.period_rows / d as f64).round() * d as f64, s.period_rows)
        });
        whole_days || week.is_some_and(|w| near(s.period_rows, w as f64))
    };
    if found.iter().any(of_calendar) {
        return None;
    }
    let strongest = found.iter().find(|s| s.period_rows.round() >= 2.0)?;
    (day.is_none() || strongest.strength >= CLEAR).then_some(strongest.period_rows.round() as usize)
}

/// Correlation of the rows with those `lag` before, the straight line between the means of both halves taken out.
fn correlation(values: &[f64], lag: usize) -> f64 {
    let half = values.len() / 2;
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len().max(1) as f64;
    let (first, second) = (mean(&values[..half]), mean(&values[half..]));
    let slope = (second - first) / half.max(1) as f64;
    let line = |i: usize| first + slope * (i as f64 - half as f64 / 2.0);
    let rest: Vec<f64> = values.iter().enumerate().map(|(i, v)| v - line(i)).collect();
    let pairs = rest.iter().zip(&rest[lag.min(rest.len())..]);
    let (both, now, then) = pairs.fold((0.0, 0.0, 0.0), |(s, a, b), (x, y)| (s + x * y, a + x * x, b + y * y));
    if now > 0.0 && then > 0.0 { both / (now * then).sqrt() } else { 0.0 }
}
