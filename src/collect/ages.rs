//! Stretches of time by which births are told apart: fine for the recent past, coarser the longer ago, bounded.
//!
//! Widths are powers of two of the base width. When there are more than [`PER_WIDTH`] stretches of one width, the two oldest of
//! them become one (an exponential histogram, after Datar et al. 2002), so the age of a block is known to about a sixth and a
//! month takes some hundred stretches. All sites share the boundaries, so each keeps one small cell a stretch and follows the
//! same merges.

/// Stretches of one width before two become one. More: ages known finer, in proportion more memory.
pub const PER_WIDTH: usize = 6;

/// The stretches, oldest first; the last one is open.
#[derive(Debug, Clone)]
pub struct Ages {
    base_s: f64,
    starts: Vec<f64>,
    widths: Vec<u64>,
}

/// What a step did to the stretches, for the cells beside them: first a new one at the end, then the merges in order: cell
/// `i + 1` went into cell `i`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub opened: bool,
    pub merged: Vec<usize>,
}

impl Ages {
    /// One open stretch from `start_s` on.
    pub fn new(start_s: f64, base_s: f64) -> Ages {
        Ages { base_s, starts: vec![start_s], widths: vec![1] }
    }

    /// Closes the open stretch if it is wide enough.
    pub fn step(&mut self, now_s: f64) -> Step {
        let mut step = Step::default();
        if self.starts.last().is_some_and(|start| now_s - start < self.base_s) {
            return step;
        }
        self.starts.push(now_s);
        self.widths.push(1);
        step.opened = true;
        let mut width = 1;
        while let Some(first) = self.too_many(width) {
            self.widths[first] *= 2;
            self.widths.remove(first + 1);
            self.starts.remove(first + 1);
            step.merged.push(first);
            width *= 2;
        }
        step
    }

    /// The oldest stretch of this width, if there are too many of them. Those of one width stand together.
    fn too_many(&self, width: u64) -> Option<usize> {
        let first = self.widths.iter().position(|w| *w == width)?;
        let count = self.widths[first..].iter().take_while(|w| **w == width).count();
        (count > PER_WIDTH).then_some(first)
    }

    /// Stretches.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The stretch that holds this time; times before the first go to the first.
    pub fn index(&self, time_s: f64) -> usize {
        self.starts.partition_point(|start| *start <= time_s).saturating_sub(1)
    }

    /// Start and end of a stretch; the open one ends at `now_s`.
    pub fn bounds(&self, index: usize, now_s: f64) -> (f64, f64) {
        (self.starts[index], self.starts.get(index + 1).copied().unwrap_or(now_s))
    }

    /// How many stretches lie wholly before this time.
    pub fn whole_before(&self, time_s: f64) -> usize {
        self.starts.partition_point(|start| *start <= time_s).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_seconds_takes_some_hundred_stretches_and_loses_no_time() {
        let mut ages = Ages::new(0.0, 1.0);
        let mut cells = vec![0u64];
        for second in 1..=100_000u64 {
            *cells.last_mut().unwrap() += 1;
            let step = ages.step(second as f64);
            if step.opened {
                cells.push(0);
            }
            for at in step.merged {
                let gone = cells.remove(at + 1);
                cells[at] += gone;
            }
        }
        assert_eq!(cells.len(), ages.count());
        assert_eq!(cells.iter().sum::<u64>(), 100_000);
        assert!(ages.count() < PER_WIDTH * 18, "{}", ages.count());
        for (i, cell) in cells.iter().enumerate().take(cells.len() - 1) {
            let (from, to) = ages.bounds(i, 100_000.0);
            assert_eq!(*cell as f64, to - from);
            assert_eq!(ages.index(from), i);
        }
        assert_eq!(ages.index(-5.0), 0);
    }
}
