//! Rolling origins: the past moments from which the forecast is tried out.
//!
//! They stand whole cycles before the last row, so that each try begins at the same phase as the real forecast, and half a
//! horizon apart. The newest can be checked for their first steps only, and are worth it: what worked last works next.

/// Past origins at most; each adds the cost of one forecast.
const MOST: usize = 10;
/// Share of the rows, and rows, that must stand before the first origin.
const KNOWN_SHARE: f64 = 0.35;
const KNOWN_ROWS: usize = 12;
/// Steps that can be checked are at most this share of the rows.
const NEAR_SHARE: f64 = 0.33;

/// Steps that are checked from past origins: the horizon, or what the rows allow of it.
pub(super) fn near(rows: usize, horizon: usize) -> usize {
    horizon.min((rows as f64 * NEAR_SHARE) as usize).max(1)
}

/// Numbers of known rows, ascending; the last is `rows` itself.
pub(super) fn origins(rows: usize, near: usize, cycles: &[usize]) -> Vec<usize> {
    let half = near.div_ceil(2);
    let cycle = cycles.first().copied().unwrap_or(1);
    let season = if cycle <= 2 * half { cycle } else { 1 };
    let apart = ((half as f64 / season as f64).round() as usize).max(1) * season;
    let first = ((rows as f64 * KNOWN_SHARE) as usize).max(KNOWN_ROWS).max(cycle);
    let mut out: Vec<usize> =
        (0..=MOST).map_while(|i| rows.checked_sub(i * apart)).filter(|o| *o == rows || *o >= first).collect();
    out.reverse();
    out
}
