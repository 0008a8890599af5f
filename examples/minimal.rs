//! The shortest use: wrap the allocator, start a watch, print the report.
//!
//! `cargo run --release --example minimal`

use std::time::{Duration, Instant};

use heapwatch::{HeapWatch, Watch};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

/// What the program forgets to remove.
struct Session {
    _cookie: String,
    _cart: Vec<u64>,
}

fn main() -> heapwatch::Result<()> {
    let watch = Watch::builder().service("minimal").version("1.0").sample_interval_bytes(32 * 1024).start()?;
    let mut sessions = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        handle_request(&mut sessions);
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{}", watch.stop().to_text());
    Ok(())
}

fn handle_request(sessions: &mut Vec<Session>) {
    let page = vec![b' '; 20_000];
    sessions.push(Session { _cookie: "c".repeat(200), _cart: vec![1; 64] });
    std::hint::black_box(page);
}
