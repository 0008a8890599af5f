//! Nothing over std::alloc::System.

#[global_allocator]
static HEAP: std::alloc::System = std::alloc::System;

fn main() -> anyhow::Result<()> {
    heapwatch_peers::child::main(|_| anyhow::bail!("a bare allocator has nothing to start"))
}
