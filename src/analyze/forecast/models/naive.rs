//! The seasonal naive forecast: the last cycle again. With a season of one row it is the last value.

use super::{Paths, Task};

pub(in super::super) fn naive(task: &Task<'_>, season: usize) -> Paths {
    task.each(|known, steps| {
        let cycle = known.len().checked_sub(season).map(|from| &known[from..])?;
        Some(cycle.iter().copied().cycle().take(steps).collect())
    })
}
