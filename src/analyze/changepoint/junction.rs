//! One change and the two segments around it: where exactly it is, and what kind.
//!
//! Two lines that are fitted apart meet nowhere in particular, and their best cut wanders by tens of rows. Where the level
//! does not jump, the two sides share their end point: a broken line has one parameter fewer and places the bend much better
//! (two-phase regression, Hinkley 1971). Rows are whitened as in [`super::cost`] and weighted by each side's own variance.

use super::Kind;
use super::prepare::Rows;

/// A stretch with one change inside.
pub(super) struct Junction<'a> {
    pub rows: &'a Rows,
    pub from: usize,
    pub to: usize,
    pub memory: f64,
    /// Innovation variance before and after.
    pub variances: (f64, f64),
}

impl Junction<'_> {
    /// The row within `lowest..=highest` where a broken line bends best, and its cost.
    pub(super) fn best_bend(&self, lowest: usize, highest: usize) -> Option<(usize, f64)> {
        let tried = (lowest..=highest).map(|c| (c, self.bent(c)));
        tried.filter(|t| t.1.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Cost of two free lines, one to each side of `cut`.
    pub(super) fn apart(&self, cut: usize) -> f64 {
        let at = self.rows.x[cut];
        self.cost(cut, |x| [1.0, x, (x - at).max(0.0), f64::from(x >= at)])
    }

    /// Cost of one line that bends at `cut`.
    fn bent(&self, cut: usize) -> f64 {
        let at = self.rows.x[cut];
        self.cost(cut, |x| [1.0, x, (x - at).max(0.0)])
    }

    /// Cost of one slope with a step at `cut`.
    fn stepped(&self, cut: usize) -> f64 {
        let at = self.rows.x[cut];
        self.cost(cut, |x| [1.0, x, f64::from(x >= at)])
    }

    /// What would be lost most by leaving it out of the change at `cut`: the step, the bend or the change of variance.
    pub(super) fn kind(&self, cut: usize) -> Kind {
        let apart = self.apart(cut);
        let (level, slope) = (self.bent(cut) - apart, self.stepped(cut) - apart);
        let (m, n) = ((cut - self.from) as f64, (self.to - cut) as f64);
        let (a, b) = self.variances;
        let variance = (m + n) * ((m * a + n * b) / (m + n)).ln() - m * a.ln() - n * b.ln();
        if variance > level.max(slope) {
            Kind::Variance
        } else if slope > level {
            Kind::Slope
        } else {
            Kind::Level
        }
    }

    /// Minus twice the log-likelihood of whitened rows under these regressors; infinite where they do not determine a fit.
    fn cost<const K: usize>(&self, cut: usize, regressors: impl Fn(f64) -> [f64; K]) -> f64 {
        let (mut normal, mut before) = (Normal::<K>::default(), ([0.0; K], 0.0));
        let (start, scale) = (self.rows.x[self.from], 1.0 / (self.to - self.from) as f64);
        let mut spread = 0.0;
        for i in self.from..self.to {
            let mut x = regressors(self.rows.x[i]);
            x[1] = (x[1] - start) * scale;
            let y = self.rows.y[i];
            let (keep, gain) =
                if i == self.from { (0.0, (1.0 - self.memory.powi(2)).sqrt()) } else { (self.memory, 1.0) };
            let variance = if i < cut { self.variances.0 } else { self.variances.1 }.max(1e-18);
            let weight = gain / variance.sqrt();
            normal.add(std::array::from_fn(|k| (x[k] - keep * before.0[k]) * weight), (y - keep * before.1) * weight);
            spread += variance.ln();
            before = (x, y);
        }
        normal.rest() + spread
    }
}

/// Normal equations of a small least-squares problem.
struct Normal<const K: usize> {
    matrix: [[f64; K]; K],
    right: [f64; K],
    total: f64,
}

impl<const K: usize> Default for Normal<K> {
    fn default() -> Self {
        Normal { matrix: [[0.0; K]; K], right: [0.0; K], total: 0.0 }
    }
}

impl<const K: usize> Normal<K> {
    fn add(&mut self, x: [f64; K], y: f64) {
        for a in 0..K {
            self.right[a] += x[a] * y;
            for b in 0..=a {
                self.matrix[a][b] += x[a] * x[b];
            }
        }
        self.total += y * y;
    }

    /// Sum of squares that the best fit leaves, by Cholesky's decomposition of the lower triangle; infinite where singular.
    fn rest(mut self) -> f64 {
        for i in 0..K {
            for j in 0..i {
                let dot: f64 = (0..j).map(|k| self.matrix[i][k] * self.matrix[j][k]).sum();
                self.matrix[i][j] = (self.matrix[i][j] - dot) / self.matrix[j][j];
            }
            let dot: f64 = (0..i).map(|k| self.matrix[i][k].powi(2)).sum();
            let pivot = self.matrix[i][i] - dot;
            if pivot <= 1e-12 * self.matrix[i][i] {
                return f64::INFINITY;
            }
            self.matrix[i][i] = pivot.sqrt();
            let known: f64 = (0..i).map(|k| self.matrix[i][k] * self.right[k]).sum();
            self.right[i] = (self.right[i] - known) / self.matrix[i][i];
            self.total -= self.right[i].powi(2);
        }
        self.total
    }
}
