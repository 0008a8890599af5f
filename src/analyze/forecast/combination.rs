//! How the models are weighed: by their errors from past origins, then by what the blend itself would have missed by.
//!
//! First each model's weight falls with the sixth power of its error (relative to the best). Those weights are then moved,
//! by exponentiated gradient steps (Kivinen and Warmuth, 1997), to lower the error of the blend, and held near where they
//! started by their divergence from it: a few origins cannot tell that a model deserves nothing.

use super::models::Task;
use super::pool::Member;

const POWER: f64 = 6.0;
/// Pull towards the first weights; at 0 the origins alone decide.
const HELD: f64 = 0.1;
const STEPS: usize = 30;
/// Errors above this share of the typical one pull with constant force (Huber), so that the blend is a median's more than a mean's.
const LINEAR_FROM: f64 = 0.3;

/// Each member's share of the blend; sums to one. The first member alone where nothing could be checked.
pub(super) fn weights(task: &Task<'_>, members: &[Member]) -> Vec<f64> {
    let losses = losses(task, members);
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return (0..members.len()).map(|i| f64::from(u8::from(i == 0))).collect();
    }
    let mut weights: Vec<f64> = losses.iter().map(|l| relative(least, *l).powf(POWER)).collect();
    normalise(&mut weights);
    Checked::of(task, members).map_or(weights.clone(), |checked| checked.improved(weights))
}

/// The members' paths from one origin, blended; members without an answer there are left out.
pub(super) fn blend(members: &[Member], weights: &[f64], origin: usize) -> Vec<f64> {
    let mut out = Vec::new();
    let mut total = 0.0;
    for (member, weight) in members.iter().zip(weights) {
        let Some(Some(path)) = member.paths.get(origin) else { continue };
        out.resize(path.len(), 0.0);
        out.iter_mut().zip(path).for_each(|(o, v)| *o += weight * v);
        total += weight;
    }
    out.iter_mut().for_each(|o| *o /= total);
    out
}

/// Each member's loss. One that is silent at some origins is judged against the first member at those it answered, since
/// what it was spared may have been the hard ones; infinite when it answered none.
fn losses(task: &Task<'_>, members: &[Member]) -> Vec<f64> {
    let Some(first) = members.first() else { return Vec::new() };
    let whole = task.loss(&first.paths);
    let judged = |member: &Member| {
        if member.paths.iter().all(Option::is_some) {
            return task.loss(&member.paths);
        }
        let answered = first.paths.iter().zip(&member.paths).map(|(f, m)| m.as_ref().and(f.clone())).collect();
        task.loss(&member.paths) / task.loss(&answered).max(f64::MIN_POSITIVE) * whole
    };
    members.iter().map(judged).map(|l| if l.is_nan() { f64::INFINITY } else { l }).collect()
}

fn relative(least: f64, loss: f64) -> f64 {
    if loss <= least { 1.0 } else { least / loss }
}

fn normalise(weights: &mut [f64]) {
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
}

/// All checked rows of all past origins: what was seen, how much it counts, and what each member said.
struct Checked<'a> {
    truth: Vec<f64>,
    counts: Vec<f64>,
    said: Vec<Vec<&'a [f64]>>,
}

impl<'a> Checked<'a> {
    fn of(task: &Task<'_>, members: &'a [Member]) -> Option<Checked<'a>> {
        let past = task.origins.len().checked_sub(1)?;
        let mut truth = Vec::new();
        let mut counts = Vec::new();
        for &origin in &task.origins[..past] {
            truth.extend_from_slice(task.truth(origin));
            counts.resize(truth.len(), task.weight(origin));
        }
        let total: f64 = counts.iter().sum();
        counts.iter_mut().for_each(|c| *c /= total);
        let stand_in = &members.first()?.paths;
        let answer = |(own, other): (&'a Option<Vec<f64>>, &'a Option<Vec<f64>>)| own.as_deref().or(other.as_deref());
        let said = members
            .iter()
            .map(|m| m.paths[..past].iter().zip(stand_in).map(|p| answer(p).unwrap_or_default()).collect());
        (total > 0.0).then(|| Checked { truth, counts, said: said.collect() })
    }

    fn improved(&self, start: Vec<f64>) -> Vec<f64> {
        let scale = Scale::of(self, &self.errors(&start));
        let mut weights = start.clone();
        for _ in 0..STEPS {
            let pulls = scale.pulls(self, &self.errors(&weights));
            let slopes: Vec<f64> = self.said.iter().map(|paths| dot(paths, &pulls)).collect();
            let mean: f64 = slopes.iter().zip(&weights).filter(|(_, w)| **w > 0.0).map(|(s, w)| s * w).sum();
            for ((weight, slope), start) in weights.iter_mut().zip(&slopes).zip(&start) {
                if *weight > 0.0 {
                    let held = HELD * (*weight / start).ln();
                    *weight *= (-0.5 * (slope - mean + held)).clamp(-1.0, 1.0).exp();
                }
            }
            normalise(&mut weights);
        }
        if weights.iter().all(|w| w.is_finite()) { weights } else { start }
    }

    /// Blend minus truth, row by row.
    fn errors(&self, weights: &[f64]) -> Vec<f64> {
        let mut errors: Vec<f64> = self.truth.iter().map(|y| -y).collect();
        for (paths, weight) in self.said.iter().zip(weights).filter(|(_, w)| **w > 0.0) {
            let said = paths.iter().flat_map(|p| p.iter());
            errors.iter_mut().zip(said).for_each(|(e, v)| *e += weight * v);
        }
        errors
    }
}

fn dot(paths: &[&[f64]], pulls: &[f64]) -> f64 {
    paths.iter().flat_map(|p| p.iter()).zip(pulls).map(|(v, p)| v * p).sum()
}

/// The two sizes an error is measured by, in equal parts: against the typical error, and against the value it belongs to.
/// The second keeps a quiet night from being drowned by the day.
struct Scale {
    error: f64,
    ratio: f64,
}

impl Scale {
    fn of(checked: &Checked<'_>, errors: &[f64]) -> Scale {
        let error: f64 = errors.iter().zip(&checked.counts).map(|(e, c)| c * e.abs()).sum();
        let ratios = errors.iter().zip(&checked.truth).map(|(e, y)| e.abs() / (y.abs() + error));
        let ratio = ratios.zip(&checked.counts).map(|(r, c)| c * r).sum::<f64>();
        Scale { error: error.max(f64::MIN_POSITIVE), ratio: ratio.max(f64::MIN_POSITIVE) }
    }

    /// By how much the loss rises with the blend at each row.
    fn pulls(&self, checked: &Checked<'_>, errors: &[f64]) -> Vec<f64> {
        let rows = errors.iter().zip(&checked.truth).zip(&checked.counts);
        rows.map(|((e, y), c)| {
            let force = (e / (LINEAR_FROM * self.error)).clamp(-1.0, 1.0);
            let ratio = 1.0 / ((y.abs() + self.error) * self.ratio);
            0.5 * c * force * (1.0 / self.error + ratio)
        })
        .collect()
    }
}
