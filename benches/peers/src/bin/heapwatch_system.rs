//! heapwatch over std::alloc::System.

use heapwatch::HeapWatch;
use std::alloc::System;

#[global_allocator]
static HEAP: HeapWatch<System> = HeapWatch::new(System);

fn main() -> anyhow::Result<()> {
    heapwatch_peers::child::main(heapwatch_peers::ours::start)
}
