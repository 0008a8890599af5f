//! jemalloc with its own profiler, which `_RJEM_MALLOC_CONF` turns on before the process begins.

use anyhow::{Context, Result, ensure};
use heapwatch_peers::{Recorder, Settings, child};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static HEAP: Jemalloc = Jemalloc;

/// Starts nothing; fails if the environment did not, since then nothing would be measured.
fn start(settings: Settings) -> Result<Box<dyn Recorder>> {
    let wanted = format!("prof:true,prof_active:true,lg_prof_sample:{}", settings.interval_bytes.ilog2());
    let given = std::env::var("_RJEM_MALLOC_CONF").context("_RJEM_MALLOC_CONF is not set")?;
    ensure!(given == wanted, "_RJEM_MALLOC_CONF is `{given}` and should be `{wanted}`");
    Ok(Box::new(()))
}

fn main() -> Result<()> {
    child::main(start)
}
