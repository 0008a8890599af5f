//! heapwatch as a service starts it. The same for all allocators under it.

use anyhow::Result;
use heapwatch::Watch;

use crate::{Recorder, Settings};

struct Watching(Watch);

impl Recorder for Watching {
    fn own_bytes(&self) -> Option<u64> {
        Some(self.0.report().recorder.own_bytes)
    }

    fn lost_samples(&self) -> Option<u64> {
        let dropped = self.0.report().recorder.dropped;
        Some(dropped.ring_full + dropped.table_full + dropped.page_map + dropped.no_thread_block)
    }
}

/// A watch with the settings that a user gets, but for the interval.
pub fn start(settings: Settings) -> Result<Box<dyn Recorder>> {
    let watch = Watch::builder().service("bench").sample_interval_bytes(settings.interval_bytes).start()?;
    Ok(Box::new(Watching(watch)))
}
