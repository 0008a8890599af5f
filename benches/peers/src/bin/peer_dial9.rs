//! dial9's allocator over the system's, with sampled allocations kept track of until their free.

use anyhow::Result;
use dial9::memory::{Dial9Allocator, MemoryProfiler, MemoryProfilerGuard, MemoryProfilingConfig};
use dial9::{MemoryBuffer, recorder};
use heapwatch_peers::{Recorder, Settings, child};

#[global_allocator]
static HEAP: Dial9Allocator = Dial9Allocator::system();

/// Its events stay in memory, so that no disk is measured.
const EVENTS_BYTES: u64 = 64 << 20;

/// Both stop what they stand for when they are dropped.
struct Recording {
    _guard: MemoryProfilerGuard,
    _recorder: dial9::Recorder,
}

impl Recorder for Recording {}

/// Without frame pointers its stacks are short, and cost less than they would; the figures say so, the profiler starts anyway.
fn start(settings: Settings) -> Result<Box<dyn Recorder>> {
    let recorder = recorder(MemoryBuffer::new(EVENTS_BYTES)?).build();
    let config = MemoryProfilingConfig::builder()
        .sample_rate_bytes(settings.interval_bytes)
        .track_liveset(true)
        .fail_on_missing_frame_pointers(false)
        .build();
    let guard = MemoryProfiler::from_config(config).install(recorder.handle().clone())?;
    Ok(Box::new(Recording { _guard: guard, _recorder: recorder }))
}

fn main() -> Result<()> {
    child::main(start)
}
