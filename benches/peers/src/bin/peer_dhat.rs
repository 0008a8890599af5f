//! dhat over the system's: every allocation with its stack.

use anyhow::Result;
use heapwatch_peers::{Recorder, Settings, child};

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

/// Stops when it is dropped.
struct Profiling {
    _profiler: dhat::Profiler,
}

impl Recorder for Profiling {}

/// In its testing mode, which records the same and writes no file.
fn start(_: Settings) -> Result<Box<dyn Recorder>> {
    Ok(Box::new(Profiling { _profiler: dhat::Profiler::builder().testing().build() }))
}

fn main() -> Result<()> {
    child::main(start)
}
