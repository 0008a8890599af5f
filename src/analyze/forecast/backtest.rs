//! What the forecast would have said from past origins, beside what came: the report that earns or loses trust in it.
//!
//! Bands are judged by leaving out the origin's own errors, as a new forecast's are not known either; the models' weights
//! are those of all origins.

use serde::Serialize;

use super::super::time::rfc3339;
use super::combination::blend;
use super::interval::{self, Miss};
use super::models::Task;
use super::pool::Member;

/// Errors from past origins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// Mean absolute error over all origins, in the values' units.
    pub mean_absolute_error: f64,
    /// The same of the first model, the seasonal or plain naive one.
    pub naive_mean_absolute_error: f64,
    /// Share of the rows that fell into the interval.
    pub coverage: f64,
    /// What the interval promises.
    pub level: f64,
    /// Oldest first.
    pub origins: Vec<OriginError>,
}

/// Errors from one origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OriginError {
    /// The last row known there, RFC 3339.
    pub at: Option<String>,
    /// Epoch seconds.
    pub at_s: f64,
    /// Steps that could be checked.
    pub steps: usize,
    /// Over those steps.
    pub mean_absolute_error: f64,
    /// Over those steps.
    pub coverage: f64,
}

/// What a backtest is made of.
pub(super) struct Tried<'a> {
    pub task: &'a Task<'a>,
    pub members: &'a [Member],
    pub weights: &'a [f64],
    pub misses: Vec<Miss>,
    /// Whether bands are shares of the mean.
    pub relative: bool,
    pub level: f64,
    pub step_s: f64,
    pub end_s: f64,
}

/// `None` when there is no past origin to check.
pub(super) fn backtest(tried: Tried<'_>) -> Option<Backtest> {
    let past = tried.task.origins.len().checked_sub(1).filter(|n| *n > 0)?;
    let naive: Vec<f64> = (0..past).map(|i| tried.naive_error(i)).collect();
    let level = tried.level;
    let origins: Vec<OriginError> = (0..past).map(|i| tried.origin(i)).collect();
    let steps: usize = origins.iter().map(|o| o.steps).sum();
    let mean = |of: &dyn Fn(usize, &OriginError) -> f64| {
        origins.iter().enumerate().map(|(i, o)| o.steps as f64 * of(i, o)).sum::<f64>() / steps.max(1) as f64
    };
    Some(Backtest {
        mean_absolute_error: mean(&|_, o| o.mean_absolute_error),
        naive_mean_absolute_error: mean(&|i, _| naive.get(i).copied().unwrap_or_default()),
        coverage: mean(&|_, o| o.coverage),
        level,
        origins,
    })
}

impl Tried<'_> {
    fn origin(&self, index: usize) -> OriginError {
        let origin = self.task.origins[index];
        let truth = self.task.truth(origin);
        let path = blend(self.members, self.weights, index);
        let others: Vec<&Miss> = self.misses.iter().filter(|m| m.origin != origin).collect();
        let bands = interval::bands(&others, self.task.near, truth.len(), self.level).unwrap_or_default();
        let inside = path.iter().zip(truth).zip(&bands).filter(|((f, y), band)| {
            let half = if self.relative { *band * f.abs() } else { **band };
            (*y - *f).abs() <= half
        });
        let at_s = self.end_s - self.step_s * (self.task.values.len() - origin) as f64;
        OriginError {
            at: rfc3339(at_s),
            at_s,
            steps: truth.len(),
            mean_absolute_error: mean_absolute_error(&path, truth),
            coverage: inside.count() as f64 / truth.len().max(1) as f64,
        }
    }

    fn naive_error(&self, index: usize) -> f64 {
        let path = self.members.first().and_then(|m| m.paths.get(index)?.as_deref()).unwrap_or_default();
        mean_absolute_error(path, self.task.truth(self.task.origins[index]))
    }
}

fn mean_absolute_error(path: &[f64], truth: &[f64]) -> f64 {
    path.iter().zip(truth).map(|(f, y)| (f - y).abs()).sum::<f64>() / truth.len().max(1) as f64
}
