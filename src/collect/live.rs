//! The collector's side of the live table: what is known of the sample in each slot.

use super::weight::Weight;

/// A sampled block that is alive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveSample {
    pub stack: u32,
    pub scope: u32,
    pub size: u64,
    /// The interval that its weight is taken from.
    pub interval: u64,
    pub address: u64,
    pub born_s: f64,
    pub tag: u64,
    /// Estimated bytes of lost samples that this one stands for as well.
    pub carried_bytes: f64,
}

impl LiveSample {
    pub fn weight(&self) -> Weight {
        Weight::of(self.size, self.interval).carrying(self.carried_bytes)
    }
}

/// Samples by slot.
#[derive(Debug, Default)]
pub struct LiveSamples {
    slots: Vec<Option<LiveSample>>,
    live: usize,
}

impl LiveSamples {
    /// Notes a new sample. What was in the slot is over by the protocol of the live table.
    pub fn insert(&mut self, slot: u32, sample: LiveSample) {
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.live += usize::from(self.slots[slot].is_none());
        self.slots[slot] = Some(sample);
    }

    /// The sample of a slot whose free has been seen; `None` for one of before this collector's time.
    pub fn remove(&mut self, slot: u32) -> Option<LiveSample> {
        let sample = self.slots.get_mut(slot as usize)?.take()?;
        self.live -= 1;
        Some(sample)
    }

    /// Samples alive.
    pub fn count(&self) -> usize {
        self.live
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &LiveSample)> {
        (0u32..).zip(&self.slots).filter_map(|(i, s)| Some((i, s.as_ref()?)))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut LiveSample)> {
        (0u32..).zip(&mut self.slots).filter_map(|(i, s)| Some((i, s.as_mut()?)))
    }

    /// Heap bytes.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<LiveSample>>()
    }
}
