//! Whose memory is it: components and operations as scopes, on threads and across awaits.
//!
//! `cargo run --release --example async_scopes`

use std::time::Duration;

use heapwatch::{HeapWatch, InScope, ScopeId, Watch};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

async fn fetch(number: u32) -> Vec<u8> {
    let request = vec![0u8; 10_000];
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(request);
    vec![number as u8; 50_000]
}

fn index(pages: &[Vec<u8>]) -> Vec<String> {
    // A guard: everything on this thread until it is dropped.
    let _scope = heapwatch::scope_operation("indexer", "words");
    pages.iter().flat_map(|p| (0..20).map(move |w| format!("{}-{w}", p[0]))).collect()
}

#[tokio::main]
async fn main() -> heapwatch::Result<()> {
    let watch = Watch::builder().service("async_scopes").sample_interval_bytes(8 * 1024).start()?;
    let fetcher = ScopeId::component("fetcher");
    let tasks: Vec<_> = (0..200).map(|n| tokio::spawn(fetch(n).in_scope(fetcher))).collect();
    let mut pages = Vec::new();
    for task in tasks {
        pages.extend(task.await);
    }
    let words = index(&pages);
    println!("{} pages, {} words\n", pages.len(), words.len());
    let snapshot = tokio::task::block_in_place(|| watch.snapshot());
    for scope in snapshot.scopes.iter().filter(|s| s.entries > 0) {
        let name = scope.scope.component.as_deref().unwrap_or("-");
        let operation = scope.scope.operation.as_deref().unwrap_or("-");
        println!(
            "{name:<10} {operation:<8} entered {:>4} times, allocated {:>9} bytes, freed {:>8} (exact); still alive about {:>9.0} ± {:.0}",
            scope.entries,
            scope.allocated_bytes,
            scope.freed_bytes,
            scope.usage.live_bytes.value,
            scope.usage.live_bytes.error95()
        );
    }
    Ok(())
}
