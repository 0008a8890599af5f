//! heapwatch over mimalloc::MiMalloc.

use heapwatch::HeapWatch;
use mimalloc::MiMalloc;

#[global_allocator]
static HEAP: HeapWatch<MiMalloc> = HeapWatch::new(MiMalloc);

fn main() -> anyhow::Result<()> {
    heapwatch_peers::child::main(heapwatch_peers::ours::start)
}
