//! heapwatch over tikv_jemallocator::Jemalloc.

use heapwatch::HeapWatch;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static HEAP: HeapWatch<Jemalloc> = HeapWatch::new(Jemalloc);

fn main() -> anyhow::Result<()> {
    heapwatch_peers::child::main(heapwatch_peers::ours::start)
}
