//! Any allocator underneath: the service keeps its mimalloc, heapwatch stands in front of it.
//!
//! `cargo run --release --example mimalloc`

use heapwatch::{HeapWatch, Watch};
use mimalloc::MiMalloc;

#[global_allocator]
static HEAP: HeapWatch<MiMalloc> = HeapWatch::new(MiMalloc);

fn main() -> heapwatch::Result<()> {
    let watch = Watch::builder().service("on mimalloc").sample_interval_bytes(16 * 1024).start()?;
    let words: Vec<String> = (0..100_000).map(|n| format!("word number {n}")).collect();
    let snapshot = watch.snapshot();
    println!(
        "{} words; live heap {} bytes exactly, {} objects, from {} samples",
        words.len(),
        snapshot.totals.live_bytes(),
        snapshot.totals.live_objects(),
        snapshot.recorder.samples
    );
    println!("{}", watch.stop().to_text());
    Ok(())
}
