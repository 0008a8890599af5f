//! Weighted least squares that grows a row at a time.
//!
//! A rolling-origin test fits the same regression at every origin. Accumulating the normal equations once, with
//! exponential forgetting, and solving them at each origin costs one pass over the rows instead of one per origin.
//! Systems here have under fifty unknowns, so a plain Cholesky factorisation is all that is needed.

/// Normal equations of a regression, with forgetting.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    width: usize,
    gram: Vec<f64>,
    cross: Vec<f64>,
    weight: f64,
    rows: usize,
}

impl Normal {
    pub(super) fn new(width: usize) -> Normal {
        Normal { width, gram: vec![0.0; width * width], cross: vec![0.0; width], weight: 0.0, rows: 0 }
    }

    /// Rows added.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row that counts `weight` times; what was there before counts `keep` (0–1] times.
    pub(super) fn push(&mut self, row: &[f64], target: f64, weight: f64, keep: f64) {
        self.rows += 1;
        self.weight = self.weight * keep + 1.0;
        for (i, &x) in row.iter().enumerate() {
            let lower = &mut self.gram[i * self.width..i * self.width + i + 1];
            let scaled = weight * x;
            for (g, &z) in lower.iter_mut().zip(row) {
                *g = *g * keep + scaled * z;
            }
            self.cross[i] = self.cross[i] * keep + scaled * target;
        }
    }

    /// Coefficients with a ridge of `ridge` per unit of weight; `None` if the rows do not determine them.
    pub(super) fn solve(&self, ridge: f64) -> Option<Vec<f64>> {
        let n = self.width;
        let mut a = self.gram.clone();
        let pull = ridge * self.weight.max(1.0);
        let mut x = self.cross.clone();
        for i in 0..n {
            a[i * n + i] += pull;
        }
        factor(&mut a, n)?;
        substitute(&a, n, &mut x);
        x.iter().all(|v| v.is_finite()).then_some(x)
    }
}

/// A regression on fixed columns, factored once for many targets.
#[derive(Debug, Clone)]
pub(super) struct Factored {
    width: usize,
    lower: Vec<f64>,
}

impl Factored {
    /// `None` if the columns do not determine their coefficients, which a ridge of a billionth all but excludes.
    pub(super) fn of(columns: &[Vec<f64>]) -> Option<Factored> {
        let width = columns.len();
        let mut lower = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..=i {
                lower[i * width + j] = columns[i].iter().zip(&columns[j]).map(|(a, b)| a * b).sum();
            }
            lower[i * width + i] *= 1.0 + 1e-9;
        }
        factor(&mut lower, width)?;
        Some(Factored { width, lower })
    }

    /// What the columns cannot express of a target, and the coefficients of what they can.
    pub(super) fn residual(&self, columns: &[Vec<f64>], target: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut x: Vec<f64> = columns.iter().map(|c| c.iter().zip(target).map(|(a, b)| a * b).sum()).collect();
        substitute(&self.lower, self.width, &mut x);
        let mut rest = target.to_vec();
        for (column, coefficient) in columns.iter().zip(&x) {
            rest.iter_mut().zip(column).for_each(|(r, c)| *r -= coefficient * c);
        }
        (rest, x)
    }
}

/// Cholesky in place in the lower triangle; `None` if the matrix is not positive definite.
fn factor(a: &mut [f64], n: usize) -> Option<()> {
    for i in 0..n {
        for j in 0..=i {
            let (upper, lower) = a.split_at(i * n);
            let (row_i, row_j) = (&lower[..j], if i == j { &lower[..j] } else { &upper[j * n..j * n + j] });
            let dot: f64 = row_i.iter().zip(row_j).map(|(p, q)| p * q).sum();
            let rest = a[i * n + j] - dot;
            if i == j {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                a[i * n + i] = rest.sqrt();
            } else {
                a[i * n + j] = rest / a[j * n + j];
            }
        }
    }
    Some(())
}

fn substitute(l: &[f64], n: usize, x: &mut [f64]) {
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| l[i * n + k] * x[k]).sum();
        x[i] = (x[i] - dot) / l[i * n + i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| l[k * n + i] * x[k]).sum();
        x[i] = (x[i] - dot) / l[i * n + i];
    }
}
