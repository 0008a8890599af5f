//! Orthonormal columns, and what is left of others after them: the linear algebra of competing explanations.
//!
//! Modified Gram–Schmidt suffices here: columns are few, scaled near 1, and a column that adds nothing is dropped.

/// A column that keeps less than this share of its length beside the others adds nothing.
const NOTHING_NEW: f64 = 1e-4;

/// Orthonormal columns of one length.
#[derive(Debug, Default, Clone)]
pub struct Basis {
    columns: Vec<Vec<f64>>,
}

impl Basis {
    /// Columns that carry something of their own.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Adds a column, unless those before already span it.
    pub fn add(&mut self, column: Vec<f64>) {
        let (direction, length) = self.apart(column);
        if length > 0.0 {
            self.columns.push(direction);
        }
    }

    /// What is left of a vector beside the columns.
    pub fn residual(&self, mut vector: Vec<f64>) -> Vec<f64> {
        for column in &self.columns {
            let share = dot(column, &vector);
            subtract(&mut vector, share, column);
        }
        vector
    }

    /// The part of a column that the others do not span, at length 1, and the length it had; both 0 if nothing is left.
    pub fn apart(&self, column: Vec<f64>) -> (Vec<f64>, f64) {
        let whole = dot(&column, &column).sqrt();
        let mut rest = self.residual(column);
        let length = dot(&rest, &rest).sqrt();
        if length <= NOTHING_NEW * whole || length <= f64::MIN_POSITIVE {
            rest.iter_mut().for_each(|x| *x = 0.0);
            return (rest, 0.0);
        }
        rest.iter_mut().for_each(|x| *x /= length);
        (rest, length)
    }
}

/// Σ a·b, in four sums so that the processor can do them side by side.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a4, b4) = (a[..n].chunks_exact(4), b[..n].chunks_exact(4));
    let tail: f64 = a4.remainder().iter().zip(b4.remainder()).map(|(x, y)| x * y).sum();
    let mut sums = [0.0; 4];
    for (x, y) in a4.zip(b4) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// vector −= factor · column.
pub fn subtract(vector: &mut [f64], factor: f64, column: &[f64]) {
    for (x, y) in vector.iter_mut().zip(column) {
        *x -= factor * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_are_orthogonal_and_dependent_columns_are_dropped() {
        let mut basis = Basis::default();
        basis.add(vec![1.0; 6]);
        basis.add(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        basis.add(vec![2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(basis.len(), 2);
        let rest = basis.residual(vec![0.0, 1.0, 4.0, 9.0, 16.0, 25.0]);
        assert!(rest.iter().sum::<f64>().abs() < 1e-9);
        assert!((rest[0] - 10.0 / 3.0).abs() < 1e-9, "{rest:?}");
    }

    #[test]
    fn dot_takes_every_element() {
        let ones = vec![1.0; 11];
        assert_eq!(dot(&ones, &ones), 11.0);
    }
}
