//! The past at a resolution that fits: equal slots of time, each the mean of its rows.
//!
//! A slot starts as wide as the distance between rows. When [`CAPACITY`] slots are full, neighbours are merged and slots
//! are twice as wide; where that would blur a known season, the older half is dropped instead. So memory is bounded and
//! any history, of seconds or of months, fits. Slots without rows repeat the value before them; a gap longer than
//! everything remembered starts the memory anew.

use serde::{Deserialize, Serialize};

/// Slots kept at most. More gives a sharper seasonal profile on long histories, at eight bytes a slot.
pub(super) const CAPACITY: usize = 4096;

/// Slots are numbered up to here; times beyond, which no calendar has, share the last one.
const LAST_SLOT: u64 = 1 << 53;

/// Slot means, oldest first. Slot `first + i` covers `[(first + i) · width, (first + i + 1) · width)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Slots {
    width_s: f64,
    first: u64,
    means: Vec<f64>,
    sum: f64,
    rows: u32,
}

impl Slots {
    pub(super) fn new(width_s: f64) -> Slots {
        Slots { width_s, first: 0, means: Vec::new(), sum: 0.0, rows: 0 }
    }

    pub(super) fn is_sound(&self) -> bool {
        let sane = self.width_s > 0.0 && self.means.len() <= CAPACITY;
        sane && self.first <= LAST_SLOT && self.rows < u32::MAX / 2
    }

    pub(super) fn width_s(&self) -> f64 {
        self.width_s
    }

    /// Complete slots.
    pub(super) fn means(&self) -> &[f64] {
        &self.means
    }

    /// Seconds on the detector's clock at which the first remembered slot begins.
    pub(super) fn start_s(&self) -> f64 {
        self.first as f64 * self.width_s
    }

    /// Adds a value at `clock_s`; slots may become at most `max_width_s` wide. True when a slot was completed.
    pub(super) fn push(&mut self, clock_s: f64, value: f64, max_width_s: f64) -> bool {
        let before = self.end();
        let mut slot = self.slot_of(clock_s);
        if slot > self.end() + CAPACITY as u64 {
            *self = Slots { first: slot, ..Slots::new(self.width_s) };
        }
        while slot > self.end() {
            if self.means.len() >= CAPACITY {
                self.make_room(max_width_s);
                slot = self.slot_of(clock_s);
                continue;
            }
            let last = self.means.last().copied().unwrap_or(value);
            self.means.push(if self.rows > 0 { self.sum / f64::from(self.rows) } else { last });
            (self.sum, self.rows) = (0.0, 0);
        }
        self.sum += value;
        self.rows += 1;
        self.end() != before
    }

    fn end(&self) -> u64 {
        self.first + self.means.len() as u64
    }

    fn slot_of(&self, clock_s: f64) -> u64 {
        ((clock_s / self.width_s) as u64).min(LAST_SLOT)
    }

    fn make_room(&mut self, max_width_s: f64) {
        let half = CAPACITY / 2;
        if 2.0 * self.width_s > max_width_s || self.first % 2 == 1 {
            let odd = (self.first % 2) as usize;
            self.means.drain(..half + odd);
            self.first += (half + odd) as u64;
            return;
        }
        for i in 0..half {
            self.means[i] = 0.5 * (self.means[2 * i] + self.means[2 * i + 1]);
        }
        self.means.truncate(half);
        self.first /= 2;
        self.width_s *= 2.0;
    }
}
