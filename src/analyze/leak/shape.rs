//! What growth looks like, or a series without a leak.

use serde::{Deserialize, Serialize};

use super::look::Look;

/// The shape of a series' growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Too little is known.
    Unknown,
    /// No growth.
    Flat,
    /// A leak that grows evenly.
    Linear,
    /// A leak that grows faster and faster.
    Accelerating,
    /// Growth in few jumps.
    Step,
    /// A leak that grows as the load does.
    ProportionalToLoad,
    /// Growth that slows: warm-up, a cache that fills.
    Saturating,
    /// Slow rises, sharp falls: purges.
    Sawtooth,
    /// Cycles without growth.
    Seasonal,
}

/// The three largest jumps make more than this share of all rises: a step.
const STEP_SHARE: f64 = 0.6;
/// Growth in the last quarter over that in an even leak's: accelerating from here.
const ACCELERATING: f64 = 1.5;
/// Correlation of growth with load from which it is proportional.
const PROPORTIONAL: f64 = 0.5;
/// Slowing growth must explain this share of what a steady level leaves.
const SATURATING_SHARE: f64 = 0.5;
/// The deepest fall between points over the highest rise: a saw-tooth from here.
const SHARP_FALL: f64 = 2.5;

impl Shape {
    pub(super) fn of(look: &Look, leak: bool, has_load: bool) -> Shape {
        let low = &look.window.low;
        let since = look.fit.as_ref().map_or(0.0, |f| f.onset);
        let grown = low.get((since * low.len() as f64) as usize..).unwrap_or(&[]);
        let [_, third, last] = look.fit.as_ref().map_or([1.0; 3], |f| f.evenness);
        match leak {
            true if has_load && follows_load(look) => Shape::ProportionalToLoad,
            true if jumps_share(grown) > STEP_SHARE => Shape::Step,
            true if last > ACCELERATING && last > third => Shape::Accelerating,
            true => Shape::Linear,
            false => quiet(look),
        }
    }
}

fn quiet(look: &Look) -> Shape {
    let hops: Vec<f64> = look.window.low.windows(2).map(|w| w[1] - w[0]).collect();
    let rise = hops.iter().copied().fold(0.0, f64::max);
    let fall = -hops.iter().copied().fold(0.0, f64::min);
    let slows = look.fit.as_ref().is_some_and(|f| f.healthy_share > SATURATING_SHARE);
    match () {
        () if !look.window.steps.is_empty() => Shape::Step,
        () if rise == 0.0 && fall == 0.0 => Shape::Flat,
        () if slows => Shape::Saturating,
        () if look.design.cycle_s.is_some() && fall > SHARP_FALL * rise => Shape::Sawtooth,
        () if look.design.cycle_s.is_some() || look.has_days() => Shape::Seasonal,
        () => Shape::Flat,
    }
}

/// Share of all rises that the three largest make.
fn jumps_share(x: &[f64]) -> f64 {
    let mut rises: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).filter(|d| *d > 0.0).collect();
    rises.sort_unstable_by(|a, b| b.total_cmp(a));
    let all: f64 = rises.iter().sum();
    if all > 0.0 { rises.iter().take(3).sum::<f64>() / all } else { 0.0 }
}

/// Whether points grow where load is high.
fn follows_load(look: &Look) -> bool {
    let w = &look.window;
    let growth: Vec<f64> = w.low.windows(2).map(|p| p[1] - p[0]).collect();
    let load: Vec<f64> = w.load.windows(2).map(|p| (p[0] + p[1]) / 2.0).collect();
    correlation(&growth, &load) > PROPORTIONAL
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len()).max(1) as f64;
    let mean = |x: &[f64]| x.iter().sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum::<f64>();
    let scale = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if scale > 0.0 { sum(&|x, y| x * y) / scale } else { 0.0 }
}
