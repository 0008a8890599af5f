//! What a stretch of rows costs as one segment: a level or a line under noise of its own variance and a common memory.
//!
//! The noise of memory series remembers: with autocorrelation φ at lag one, a plain sum of squares takes every slow wave for a
//! change of level. So a segment is fitted by generalised least squares under AR(1) noise (Prais–Winsten: row i less φ times
//! row i−1, over 1−φ; the first row on its own with weight (1+φ)/(1−φ)). Running sums make the cost of a segment independent of
//! its length. Cost is minus twice the log-likelihood; the variance is shrunk towards the series' own, or a short quiet
//! stretch would always look like a change of variance.

use super::prepare::Rows;

/// Rows of prior belief in the series' own variance. More misses short quiet stretches, fewer invents them.
const PRIOR_ROWS: f64 = 6.0;

/// Running sums of the whitened rows.
pub(super) struct Cost<'a> {
    rows: &'a Rows,
    sums: Vec<Sums>,
    memory: f64,
    prior: f64,
    slope_price: f64,
}

/// Weighted sums over a stretch.
#[derive(Clone, Copy, Default)]
struct Sums {
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

/// A fitted segment: value = level + slope·(x − middle).
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    pub level: f64,
    pub slope: f64,
    pub middle: f64,
    /// Of the innovations.
    pub variance: f64,
}

/// Sums of squares around a level and around a line.
struct Left {
    flat: f64,
    line: f64,
    slope: f64,
}

impl<'a> Cost<'a> {
    /// `memory` is φ in [0, 1), `variance` that of the series' innovations.
    pub(super) fn new(rows: &'a Rows, memory: f64, variance: f64) -> Cost<'a> {
        let mut total = Sums::default();
        let mut sums = vec![total; 2.min(rows.len() + 1)];
        let whiten = |w: &[f64]| (w[1] - memory * w[0]) / (1.0 - memory);
        for (x, y) in rows.x.windows(2).zip(rows.y.windows(2)) {
            total.add(whiten(x), whiten(y), 1.0);
            sums.push(total);
        }
        let prior = (variance / (1.0 - memory).powi(2)).max(1e-18);
        Cost { rows, sums, memory, prior, slope_price: (rows.len().max(2) as f64).ln() }
    }

    /// Cost of rows `from..to` as one segment; at least two rows.
    pub(super) fn of(&self, from: usize, to: usize) -> f64 {
        let rows = (to - from) as f64;
        let left = self.over(from, to).left();
        let (flat, line) = (self.variance(left.flat, rows), self.variance(left.line, rows));
        // ln(1 + r) ≤ r: one logarithm where a slope cannot pay for itself.
        if rows * (flat / line - 1.0) <= self.slope_price {
            return rows * flat.ln();
        }
        (rows * flat.ln()).min(rows * line.ln() + self.slope_price)
    }

    /// The fit of rows `from..to`, with a slope where it pays.
    pub(super) fn fit(&self, from: usize, to: usize) -> Fit {
        let (rows, sums) = ((to - from) as f64, self.over(from, to));
        let left = sums.left();
        let (flat, line) = (self.variance(left.flat, rows), self.variance(left.line, rows));
        let (level, middle) = (sums.y / sums.weight, sums.x / sums.weight);
        let innovations = (1.0 - self.memory).powi(2);
        if rows * line.ln() + self.slope_price < rows * flat.ln() {
            Fit { level, slope: left.slope, middle, variance: line * innovations }
        } else {
            Fit { level, slope: 0.0, middle, variance: flat * innovations }
        }
    }

    fn over(&self, from: usize, to: usize) -> Sums {
        let mut sums = self.sums[to].less(&self.sums[from + 1]);
        sums.add(self.rows.x[from], self.rows.y[from], (1.0 + self.memory) / (1.0 - self.memory));
        sums
    }

    fn variance(&self, square: f64, rows: f64) -> f64 {
        (square.max(0.0) + PRIOR_ROWS * self.prior) / (rows + PRIOR_ROWS)
    }
}

impl Sums {
    fn add(&mut self, x: f64, y: f64, weight: f64) {
        self.weight += weight;
        self.x += weight * x;
        self.y += weight * y;
        self.xx += weight * x * x;
        self.xy += weight * x * y;
        self.yy += weight * y * y;
    }

    fn less(&self, o: &Sums) -> Sums {
        Sums {
            weight: self.weight - o.weight,
            x: self.x - o.x,
            y: self.y - o.y,
            xx: self.xx - o.xx,
            xy: self.xy - o.xy,
            yy: self.yy - o.yy,
        }
    }

    fn left(&self) -> Left {
        let flat = self.yy - self.y * self.y / self.weight;
        let spread = (self.xx - self.x * self.x / self.weight).max(1e-9);
        let along = self.xy - self.x * self.y / self.weight;
        Left { flat, line: flat - along * along / spread, slope: along / spread }
    }
}
