//! The range of all that was seen lately, and how far outside it a value lies.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Blocks remembered: about a month of blocks of six hours.
const BLOCKS: usize = 100;

/// Lowest and highest value of the last blocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    closed: VecDeque<(f64, f64)>,
    past: Option<(f64, f64)>,
    running: Option<(f64, f64)>,
}

impl Range {
    pub(super) fn new() -> Range {
        Range { closed: VecDeque::new(), past: None, running: None }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.closed.len() <= BLOCKS
    }

    /// Distance outside the known range in units of its width; 0 inside it, or while it has no width.
    pub(super) fn excess(&self, value: f64) -> f64 {
        let Some((low, high)) = joined(self.past, self.running).filter(|(low, high)| high > low) else { return 0.0 };
        (value - high).max(low - value).max(0.0) / (high - low)
    }

    pub(super) fn learn(&mut self, value: f64) {
        self.running = joined(self.running, Some((value, value)));
    }

    pub(super) fn close_block(&mut self) {
        self.closed.extend(self.running.take());
        if self.closed.len() > BLOCKS {
            self.closed.pop_front();
        }
        self.past = self.closed.iter().fold(None, |all, block| joined(all, Some(*block)));
    }
}

fn joined(a: Option<(f64, f64)>, b: Option<(f64, f64)>) -> Option<(f64, f64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}
