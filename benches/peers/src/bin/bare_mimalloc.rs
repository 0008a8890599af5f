//! Nothing over mimalloc::MiMalloc.

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    heapwatch_peers::child::main(|_| anyhow::bail!("a bare allocator has nothing to start"))
}
