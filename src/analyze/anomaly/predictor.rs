//! A learned model: the next value from the last ones, by recursive least squares.
//!
//! It learns how a series moves (autoregression, purge cycles, the seasonal swing) from the series alone, in constant
//! time and memory, and forgets slowly (Haykin, Adaptive Filter Theory, ch. 10). What it could not foresee is the evidence.
//! Inputs are scaled by the caller; errors are clipped before learning, so an outage does not become the habit.

use serde::{Deserialize, Serialize};

/// Inputs: a constant, three values, a short mean and the seasonal part.
pub(super) const INPUTS: usize = 6;
/// Weight kept per row: an effective memory of two thousand rows.
const MEMORY: f64 = 0.9995;
/// Initial variance of a weight; also what it returns to when rounding has spoilt the inverse.
const DOUBT: f64 = 10.0;
/// Largest trace of the inverse before it is reset: long constant inputs blow it up.
const MOST_DOUBT: f64 = 1e6;
/// Largest error learned from, in the caller's scale.
const CLIP: f64 = 3.0;

/// Weights and the inverse of the inputs' correlation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Predictor {
    weights: [f64; INPUTS],
    inverse: [[f64; INPUTS]; INPUTS],
}

impl Predictor {
    /// Starts as "the next value is the last one" (input 1).
    pub(super) fn new() -> Predictor {
        let mut weights = [0.0; INPUTS];
        weights[1] = 1.0;
        Predictor { weights, inverse: diagonal() }
    }

    /// The error of predicting `target` from `inputs`, which are then learned.
    pub(super) fn error(&mut self, inputs: &[f64; INPUTS], target: f64) -> f64 {
        let error = target - dot(&self.weights, inputs);
        if !error.is_finite() {
            *self = Predictor::new();
            return 0.0;
        }
        let spread: [f64; INPUTS] = std::array::from_fn(|i| dot(&self.inverse[i], inputs));
        let gain = 1.0 / (MEMORY + dot(&spread, inputs));
        let learned = error.clamp(-CLIP, CLIP);
        for (i, row) in self.inverse.iter_mut().enumerate() {
            self.weights[i] += gain * spread[i] * learned;
            row.iter_mut().zip(&spread).for_each(|(p, s)| *p = (*p - gain * spread[i] * s) / MEMORY);
        }
        let trace: f64 = (0..INPUTS).map(|i| self.inverse[i][i]).sum();
        if !(0.0..MOST_DOUBT).contains(&trace) {
            self.inverse = diagonal();
        }
        error
    }
}

fn diagonal() -> [[f64; INPUTS]; INPUTS] {
    std::array::from_fn(|i| std::array::from_fn(|j| if i == j { DOUBT } else { 0.0 }))
}

fn dot(a: &[f64; INPUTS], b: &[f64; INPUTS]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
