//! The models: each takes a [`Task`] and answers with a path of values from every origin.
//!
//! Invariant: the path from an origin uses only rows before it. A model that has too few rows at an origin answers `None`
//! there and is left out of what needs that origin. Gains are chosen by [`Task::loss`] over the origins that can be checked.

pub(super) mod analog;
pub(super) mod autoregression;
pub(super) mod cycle_median;
pub(super) mod damped_trend;
pub(super) mod holt_winters;
pub(super) mod naive;

/// Loss of an origin's weight per half horizon of age: series change, and what worked lately predicts best.
const FORGET: f64 = 0.7;

/// What a model is asked: evenly spaced values, and the origins (numbers of known rows, ascending; the last is all rows).
pub(super) struct Task<'a> {
    pub values: &'a [f64],
    pub origins: &'a [usize],
    /// Steps that are checked from a past origin.
    pub near: usize,
    /// Steps wanted from the last row.
    pub far: usize,
}

/// One path an origin; `None` where the rows before it are too few.
pub(super) type Paths = Vec<Option<Vec<f64>>>;

impl Task<'_> {
    /// Steps wanted from an origin.
    pub fn steps(&self, origin: usize) -> usize {
        if origin >= self.values.len() { self.far } else { self.near.min(self.values.len() - origin) }
    }

    /// How much the errors from an origin count.
    pub fn weight(&self, origin: usize) -> f64 {
        let age = (self.values.len() - origin) as f64;
        FORGET.powf(2.0 * age / self.near.max(2) as f64)
    }

    /// What was observed after an origin, as far as it is checked.
    pub fn truth(&self, origin: usize) -> &[f64] {
        &self.values[origin..(origin + self.near).min(self.values.len())]
    }

    /// Answers origin by origin.
    pub fn each(&self, mut path: impl FnMut(&[f64], usize) -> Option<Vec<f64>>) -> Paths {
        self.origins.iter().map(|&o| path(&self.values[..o], self.steps(o))).collect()
    }

    /// Weighted mean absolute error of paths over all checked rows; infinite when no origin was answered.
    pub fn loss(&self, paths: &Paths) -> f64 {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (&origin, path) in self.origins.iter().zip(paths) {
            let Some(path) = path else { continue };
            let w = self.weight(origin);
            for (y, f) in self.truth(origin).iter().zip(path) {
                sum += w * (y - f).abs();
                weight += w;
            }
        }
        if weight > 0.0 { sum / weight } else { f64::INFINITY }
    }

    /// The paths with the least loss; of equal ones, the first.
    pub fn best(&self, tried: impl Iterator<Item = Paths>) -> Paths {
        let mut best = (f64::INFINITY, vec![None; self.origins.len()]);
        for paths in tried {
            let loss = self.loss(&paths);
            if loss < best.0 || (best.0.is_infinite() && best.1.iter().all(Option::is_none)) {
                best = (loss, paths);
            }
        }
        best.1
    }
}
