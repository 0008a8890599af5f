//! One candidate period, judged: how much of the series does "the same phase of the other cycles" predict?
//!
//! Each row is predicted by the mean of its phase over all cycles but its own, so a candidate cannot explain by
//! fitting; chance makes the explained share negative, not positive. Trend and slow wandering are removed first by a
//! centred mean over one whole period (classical decomposition). Significance is an F test whose degrees of freedom come
//! from the autocorrelation that is left (Satterthwaite's approximation), so wandering noise does not count as many rows.

use statrs::distribution::{ContinuousCDF, FisherSnedecor};

/// Phases a profile has at most. More follow sharper shapes and cost significance on noisy series.
const MOST_PHASES: usize = 96;

/// Shares below this are not tested: no season that weak is reported, and the test is most of a fold's cost.
const LEAST_SHARE: f64 = 0.05;

/// What folding at one period says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fold {
    pub period: f64,
    /// Share of the detrended variance that the season has, 0–1, corrected for chance.
    pub share: f64,
    /// Variance that the season has, in squared units of the values.
    pub variance: f64,
    /// Probability of such a share without any season.
    pub chance: f64,
}

/// Sums by cycle and phase; everything about a period is read off them.
struct Cells {
    phases: usize,
    sums: Vec<f64>,
    counts: Vec<f64>,
    total_square: f64,
    rows: f64,
}

/// Folds `values` (NaN where missing) at `period` rows. `None` when fewer than two cycles or too few rows are there.
pub(super) fn fold(values: &[f64], sums: &Prefix, period: f64) -> Option<Fold> {
    let flat = sums.detrended(values, period);
    let cells = Cells::of(&flat, period)?;
    let cycles = values.len() as f64 / period;
    let explained = cells.explained();
    let share = ((explained * (cycles - 1.0) + 1.0) / cycles).clamp(0.0, 1.0);
    let total = cells.total_square / cells.rows;
    let mut fold = Fold { period, share, variance: share * total, chance: 1.0 };
    if share > LEAST_SHARE && explained > 0.0 {
        fold.chance = chance(share, cycles, cells.freedom(&flat, period));
    }
    Some(fold)
}

/// Tail of the F distribution for a share seen in so many cycles of so many independent phases.
fn chance(share: f64, cycles: f64, freedom: f64) -> f64 {
    let f = 1.0 + cycles * share / (1.0 - share).max(1e-12);
    let (d1, d2) = (freedom.max(1.0), (freedom * (cycles - 1.0)).max(1.0));
    FisherSnedecor::new(d1, d2).map_or(1.0, |d| d.sf(f))
}

impl Cells {
    fn of(flat: &[f64], period: f64) -> Option<Cells> {
        let phases = (period.round() as usize).clamp(2, MOST_PHASES);
        let cycles = (flat.len() as f64 / period).ceil() as usize + 1;
        let (mut sums, mut counts) = (vec![0.0; cycles * phases], vec![0.0; cycles * phases]);
        let (mut total_square, mut rows) = (0.0, 0.0);
        let turn = 1.0 / period;
        for (i, v) in flat.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let at = ((i as f64 + 0.5) * turn * phases as f64) as usize;
            sums[at] += v;
            counts[at] += 1.0;
            total_square += v * v;
            rows += 1.0;
        }
        (rows >= 4.0 && total_square > 0.0).then_some(Cells { phases, sums, counts, total_square, rows })
    }

    fn by_phase(&self, columns: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.phases];
        for row in columns.chunks(self.phases) {
            out.iter_mut().zip(row).for_each(|(o, v)| *o += v);
        }
        out
    }

    /// Share of the sum of squares that the other cycles' means predict; negative where they mislead.
    fn explained(&self) -> f64 {
        let (sums, counts) = (self.by_phase(&self.sums), self.by_phase(&self.counts));
        let mut saved = 0.0;
        for (i, (s, n)) in self.sums.iter().zip(&self.counts).enumerate() {
            let others = counts[i % self.phases] - n;
            if *n > 0.0 && others > 0.0 {
                let predicted = (sums[i % self.phases] - s) / others;
                saved += predicted * (2.0 * s - n * predicted);
            }
        }
        saved / self.total_square
    }

    /// Independent phases in a cycle of what the season leaves over: p / (1 + 2 Σ ρ²), the sum over lags up to half a
    /// period taken at doubling lags; one goes to the cycle's own level.
    fn freedom(&self, flat: &[f64], period: f64) -> f64 {
        let (sums, counts) = (self.by_phase(&self.sums), self.by_phase(&self.counts));
        let turn = self.phases as f64 / period;
        let rest: Vec<f64> = flat
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let phase = ((i as f64 + 0.5) * turn) as usize % self.phases;
                v - sums[phase] / counts[phase].max(1.0)
            })
            .collect();
        let own = correlation(&rest, 0).max(f64::MIN_POSITIVE);
        let (mut lag, mut total) = (1usize, 0.0);
        while lag as f64 <= (period / 2.0).max(1.0) {
            let width = (lag as f64 / 2.0).max(1.0).min(period / 2.0);
            total += width * (correlation(&rest, lag) / own).powi(2);
            lag *= 2;
        }
        (period / (1.0 + 2.0 * total)).min(self.phases as f64) - 1.0
    }
}

/// Mean product of pairs `lag` rows apart, pairs with a gap left out.
fn correlation(rest: &[f64], lag: usize) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (a, b) in rest.iter().zip(rest.iter().skip(lag)) {
        let product = a * b;
        if product.is_finite() {
            sum += product;
            pairs += 1.0;
        }
    }
    if pairs > 0.0 { sum / pairs } else { 0.0 }
}

/// Running sums, so that a mean over any (fractional) window costs the same.
pub(super) struct Prefix {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Prefix {
    pub(super) fn of(values: &[f64]) -> Prefix {
        let (mut sums, mut counts) = (vec![0.0], vec![0.0]);
        let (mut sum, mut count) = (0.0, 0.0);
        for v in values {
            if v.is_finite() {
                sum += v;
                count += 1.0;
            }
            sums.push(sum);
            counts.push(count);
        }
        Prefix { sums, counts }
    }

    /// `values` less the mean of the `period` rows around each; near an end, less the mean of that end's whole period.
    pub(super) fn detrended(&self, values: &[f64], period: f64) -> Vec<f64> {
        let n = values.len() as f64;
        let mut trend = vec![self.mean(0.0, period.min(n)); (period / 2.0 - 0.5).ceil() as usize];
        let inner = running(&self.sums, period).zip(running(&self.counts, period));
        trend.extend(inner.map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }));
        trend.resize(values.len(), self.mean((n - period).max(0.0), n));
        values.iter().zip(trend).map(|(v, t)| v - t).collect()
    }

    fn mean(&self, from: f64, to: f64) -> f64 {
        let count = at(&self.counts, to) - at(&self.counts, from);
        if count > 0.0 { (at(&self.sums, to) - at(&self.sums, from)) / count } else { 0.0 }
    }
}

/// Sums over the `period` rows around each row for which they are there. All these windows end at the same fractions of a
/// row, so that each costs a few operations: this is the inner loop of the whole search.
fn running(sums: &[f64], period: f64) -> impl Iterator<Item = f64> {
    let (before, after) = (period / 2.0 - 0.5, period / 2.0 + 0.5);
    let (low, high) = (before.ceil() - before, after.fract());
    let part = |w: &[f64], fraction: f64| w[0] + fraction * (w[1] - w[0]);
    let ends = sums.windows(2).skip((before.ceil() + after.floor()) as usize);
    sums.windows(2).zip(ends).map(move |(from, to)| part(to, high) - part(from, low))
}

fn at(sums: &[f64], x: f64) -> f64 {
    let i = (x as usize).min(sums.len() - 1);
    let next = sums[(i + 1).min(sums.len() - 1)];
    sums[i] + (x - i as f64) * (next - sums[i])
}
