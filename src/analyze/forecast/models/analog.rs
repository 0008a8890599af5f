//! Analogs: the stretches of the past, a whole number of cycles ago, that looked most like the last rows, and what came
//! after them, moved most of the way to the present level. Knows nothing of weekdays and finds them when they matter.

use super::{Paths, Task};

/// Stretches that are averaged.
const NEIGHBOURS: usize = 4;
/// How far a stretch is moved towards the present level.
const MOVED: f64 = 0.7;

struct Stretch {
    distance: f64,
    end: usize,
    shift: f64,
}

/// `window` rows are compared, `season` rows apart.
pub(in super::super) fn analog(task: &Task<'_>, season: usize, window: usize) -> Paths {
    task.each(|known, steps| {
        let reach = steps.min(task.near).div_ceil(season) * season;
        let newest = known.len().checked_sub(reach)?;
        let ends = (0..).map(|cycle| newest.checked_sub(cycle * season)).map_while(|end| end.filter(|e| *e >= window));
        let mut stretches: Vec<Stretch> = ends.map(|end| compared(known, window, end)).collect();
        if stretches.len() < NEIGHBOURS {
            return None;
        }
        stretches.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        stretches.truncate(NEIGHBOURS);
        let followed = averaged(known, &stretches, reach);
        Some(followed.iter().copied().cycle().take(steps).collect())
    })
}

fn compared(known: &[f64], window: usize, end: usize) -> Stretch {
    let (now, past) = (&known[known.len() - window..], &known[end - window..end]);
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / window as f64;
    let shift = MOVED * (mean(now) - mean(past));
    let distance = now.iter().zip(past).map(|(a, b)| (a - b - shift).abs()).sum();
    Stretch { distance, end, shift }
}

/// Nearer stretches count by the cube of their nearness.
fn averaged(known: &[f64], stretches: &[Stretch], reach: usize) -> Vec<f64> {
    let nearest = stretches.first().map_or(1.0, |s| s.distance.max(f64::MIN_POSITIVE));
    let weights: Vec<f64> = stretches.iter().map(|s| (nearest / s.distance.max(nearest)).powi(3)).collect();
    let total: f64 = weights.iter().sum();
    let mut out = vec![0.0; reach];
    for (stretch, weight) in stretches.iter().zip(&weights) {
        let after = &known[stretch.end..stretch.end + reach];
        out.iter_mut().zip(after).for_each(|(o, v)| *o += weight / total * (v + stretch.shift));
    }
    out
}
