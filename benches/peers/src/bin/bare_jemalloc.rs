//! Nothing over tikv_jemallocator::Jemalloc.

#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    heapwatch_peers::child::main(|_| anyhow::bail!("a bare allocator has nothing to start"))
}
