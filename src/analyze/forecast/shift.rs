//! The last break in level: a restart, a deploy, a new limit.
//!
//! After a break the rows before it say how the series moves but not where it stands. So they are moved to the level after
//! it, rather than thrown away. Only a break from which the series has not come back counts: levels that were visited
//! shortly before are part of how it moves.

use super::super::trend::median;

/// Rows that must stand on the new level.
const CONFIRMED: usize = 4;
/// How many times the stretch after the break must be looked back to find no row on its level.
const LOOK_BACK: usize = 6;
/// A break is at least so many times what rows usually differ by (their upper quartile).
const AGAINST_USUAL: f64 = 6.0;
const FEWEST_ROWS: usize = 24;

/// Where the last break is, and by how much the level changed there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    pub row: usize,
    pub jump: f64,
}

/// The largest break whose level the series has kept since, or `None`. `season` rows are never judged by less than two
/// cycles before.
pub(super) fn last_shift(values: &[f64], season: usize) -> Option<Shift> {
    if values.len() < FEWEST_ROWS {
        return None;
    }
    let usual = usual_difference(values);
    let (mut low, mut high) = (f64::MAX, f64::MIN);
    let mut found: Option<Shift> = None;
    for after in 1..=values.len() / 2 {
        let row = values.len() - after;
        low = low.min(values[row]);
        high = high.max(values[row]);
        let back = (LOOK_BACK * after).max(FEWEST_ROWS).max(2 * season);
        let before = &values[row.saturating_sub(back)..row];
        if after < CONFIRMED || !left_behind(before, low, high) {
            continue;
        }
        let Some(jump) = jump_at(values, row) else { continue };
        let sudden = (values[row] - values[row - 1]).abs() > 0.5 * jump.abs();
        if sudden && jump.abs() > AGAINST_USUAL * usual && found.is_none_or(|f| jump.abs() > f.jump.abs()) {
            found = Some(Shift { row, jump });
        }
    }
    found
}

/// The same rows with the break taken out: those before it moved onto the level after it.
pub(super) fn without(values: &[f64], shift: Option<Shift>) -> Vec<f64> {
    let mut out = values.to_vec();
    if let Some(Shift { row, jump }) = shift {
        out.iter_mut().take(row).for_each(|v| *v += jump);
    }
    out
}

fn left_behind(before: &[f64], low: f64, high: f64) -> bool {
    before.len() >= FEWEST_ROWS / 2 && (before.iter().all(|v| *v < low) || before.iter().all(|v| *v > high))
}

fn jump_at(values: &[f64], row: usize) -> Option<f64> {
    let near = 3 * CONFIRMED;
    let after = &values[row..(row + near).min(values.len())];
    let before = &values[row.saturating_sub(near)..row];
    Some(median(&mut after.to_vec())? - median(&mut before.to_vec())?)
}

fn usual_difference(values: &[f64]) -> f64 {
    let mut steps: Vec<f64> = values.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let rank = steps.len() * 3 / 4;
    if steps.is_empty() { 0.0 } else { *steps.select_nth_unstable_by(rank, f64::total_cmp).1 }
}
