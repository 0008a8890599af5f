//! A damped trend (Gardner and McKenzie, 1985) on the seasonally adjusted rows, the median shape of the last cycles put
//! back. Against Holt–Winters it trades an adapting shape for one that spikes cannot bend. Gains as there.

use super::super::super::trend::median;
use super::{Paths, Task};

const LEVEL: [f64; 4] = [0.03, 0.1, 0.3, 0.7];
const TREND: [f64; 3] = [0.0, 0.02, 0.1];
const DAMPING: f64 = 0.98;
/// Cycles whose shapes are compared; more make the shape steadier and slower to follow a change.
const CYCLES: usize = 6;
/// Rows that the smoothing runs over before an origin: at the least level gain, older ones weigh under a millionth.
const MEMORY: usize = 450;

pub(in super::super) fn damped_trend(task: &Task<'_>, season: usize) -> Paths {
    let adjusted: Vec<Option<Adjusted>> =
        task.origins.iter().map(|&o| Adjusted::of(&task.values[..o], season)).collect();
    let gains = LEVEL.iter().flat_map(|&level| TREND.iter().map(move |&trend| (level, trend)));
    task.best(gains.map(|(level, trend)| {
        let paths = task.origins.iter().zip(&adjusted);
        paths.map(|(&o, a)| Some(a.as_ref()?.path(level, trend, task.steps(o)))).collect()
    }))
}

/// Rows without their season, and the season from the row after the last on.
struct Adjusted {
    rows: Vec<f64>,
    shape: Vec<f64>,
}

impl Adjusted {
    fn of(known: &[f64], season: usize) -> Option<Adjusted> {
        let shape = shape(known, season)?;
        let mut rows: Vec<f64> = known.iter().rev().take(MEMORY).copied().collect();
        let offsets = shape.iter().rev().cycle();
        rows.iter_mut().zip(offsets).for_each(|(row, offset)| *row -= offset);
        rows.reverse();
        Some(Adjusted { rows, shape })
    }

    fn path(&self, level_gain: f64, trend_gain: f64, steps: usize) -> Vec<f64> {
        let mut level = self.rows.first().copied().unwrap_or_default();
        let mut trend = 0.0;
        for row in self.rows.iter().skip(1) {
            trend *= DAMPING;
            let error = row - (level + trend);
            level += trend + level_gain * error;
            trend += level_gain * trend_gain * error;
        }
        let one = |offset: &f64| {
            trend *= DAMPING;
            level += trend;
            level + offset
        };
        self.shape.iter().cycle().take(steps).map(one).collect()
    }
}

/// Median over the last cycles of each row's deviation from its cycle's mean; it starts at the row after the last.
fn shape(known: &[f64], season: usize) -> Option<Vec<f64>> {
    if season == 1 {
        return (!known.is_empty()).then(|| vec![0.0]);
    }
    let cycles = (known.len() / season).min(CYCLES);
    if cycles < 2 {
        return None;
    }
    let recent = &known[known.len() - cycles * season..];
    let deviations: Vec<f64> = recent.chunks(season).flat_map(deviations).collect();
    let at = |phase: usize| median(&mut deviations.iter().skip(phase).step_by(season).copied().collect::<Vec<f64>>());
    (0..season).map(at).collect()
}

fn deviations(cycle: &[f64]) -> impl Iterator<Item = f64> {
    let mean = cycle.iter().sum::<f64>() / cycle.len() as f64;
    cycle.iter().map(move |v| v - mean)
}
