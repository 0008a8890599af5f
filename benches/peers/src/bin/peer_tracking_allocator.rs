//! tracking-allocator over the system's, with the least that is of use: the live bytes.

use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use heapwatch_peers::{Recorder, Settings, child};
use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker, Allocator};

#[global_allocator]
static HEAP: Allocator<System> = Allocator::system();

#[derive(Default)]
struct LiveBytes(AtomicUsize);

impl AllocationTracker for LiveBytes {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        self.0.fetch_add(size, Ordering::Relaxed);
    }

    fn deallocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId, _: AllocationGroupId) {
        self.0.fetch_sub(size, Ordering::Relaxed);
    }
}

fn start(_: Settings) -> Result<Box<dyn Recorder>> {
    AllocationRegistry::set_global_tracker(LiveBytes::default()).map_err(|e| anyhow::anyhow!("{e}"))?;
    AllocationRegistry::enable_tracking();
    Ok(Box::new(()))
}

fn main() -> Result<()> {
    child::main(start)
}
