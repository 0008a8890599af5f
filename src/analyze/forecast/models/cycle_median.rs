//! The median of the same row in the last cycles: the shape that one odd cycle cannot bend. With a season of one row it
//! is the median of the last rows.

use super::super::super::trend::median;
use super::{Paths, Task};

pub(in super::super) fn cycle_median(task: &Task<'_>, season: usize, cycles: usize) -> Paths {
    task.each(|known, steps| {
        let seen = (known.len() / season).min(cycles);
        if seen < 2 {
            return None;
        }
        let recent = &known[known.len() - seen * season..];
        let shape: Option<Vec<f64>> = (0..season.min(steps)).map(|phase| median_at(recent, phase, season)).collect();
        Some(shape?.into_iter().cycle().take(steps).collect())
    })
}

fn median_at(recent: &[f64], phase: usize, season: usize) -> Option<f64> {
    let mut values: Vec<f64> = recent.iter().skip(phase).step_by(season).copied().collect();
    median(&mut values)
}
