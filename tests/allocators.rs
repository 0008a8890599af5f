//! The wrapper around other allocators: contents, alignment and zeroes survive, whatever is sampled, resized or moved.
//! One test, as the watch is the process's.

use std::alloc::{GlobalAlloc, Layout, System};

use heapwatch::record::sampler::next_random;
use heapwatch::{HeapWatch, Watch};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

struct Block {
    start: *mut u8,
    layout: Layout,
    mark: u8,
}

fn filled_with(start: *const u8, size: usize, mark: u8) -> bool {
    // SAFETY: the callers pass blocks of at least `size` bytes that are all written.
    unsafe { std::slice::from_raw_parts(start, size) }.iter().all(|b| *b == mark)
}

fn exercise<A: GlobalAlloc>(allocator: &HeapWatch<A>, name: &str) {
    let mut random = 99;
    let mut below = |n: u64| (next_random(&mut random) % n) as usize;
    let mut blocks: Vec<Block> = Vec::new();
    for step in 0..150_000u32 {
        let size = 1 + below(if step % 61 == 0 { 200_000 } else { 900 });
        let layout = Layout::from_size_align(size, 1 << below(if step % 17 == 0 { 14 } else { 5 })).unwrap();
        let mark = (step % 251) as u8;
        match below(3) {
            0 if blocks.len() > 500 => {
                let gone = blocks.swap_remove(below(blocks.len() as u64));
                assert!(filled_with(gone.start, gone.layout.size(), gone.mark), "{name}: contents changed");
                // SAFETY: the block and its layout, once.
                unsafe { allocator.dealloc(gone.start, gone.layout) };
            }
            1 if !blocks.is_empty() => {
                let at = below(blocks.len() as u64);
                let block = &mut blocks[at];
                // SAFETY: the block and its layout; the new size is not 0.
                let moved = unsafe { allocator.realloc(block.start, block.layout, size) };
                let kept = size.min(block.layout.size());
                assert!(filled_with(moved, kept, block.mark), "{name}: a resize lost contents");
                assert_eq!(moved.addr() % block.layout.align(), 0, "{name}");
                let layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                *block = Block { start: moved, layout, mark };
                // SAFETY: the block has `size` bytes.
                unsafe { moved.write_bytes(mark, size) };
            }
            choice => {
                // SAFETY: the size is not 0.
                let start =
                    unsafe { if choice == 2 { allocator.alloc_zeroed(layout) } else { allocator.alloc(layout) } };
                assert!(!start.is_null() && start.addr() % layout.align() == 0, "{name}");
                assert!(choice != 2 || filled_with(start, size, 0), "{name}: not zeroed");
                // SAFETY: the block has `size` bytes.
                unsafe { start.write_bytes(mark, size) };
                blocks.push(Block { start, layout, mark });
            }
        }
    }
    for block in blocks {
        assert!(filled_with(block.start, block.layout.size(), block.mark), "{name}: contents changed");
        // SAFETY: the block and its layout, once.
        unsafe { allocator.dealloc(block.start, block.layout) };
    }
}

#[test]
fn every_allocator_underneath_works() {
    let watch = Watch::builder().sample_interval_bytes(300).start().unwrap();
    exercise(&HeapWatch::new(System), "System");
    exercise(&HeapWatch::new(mimalloc::MiMalloc), "mimalloc");
    exercise(&HeapWatch::new(tikv_jemallocator::Jemalloc), "jemalloc");
    let report = watch.stop();
    let r = &report.recorder;
    assert!(r.samples > 10_000, "{r:?}");
    assert_eq!(r.samples, r.live_samples + r.freed_samples + r.dropped.thinned, "every sample is accounted for");
    let left: f64 = report
        .sites
        .iter()
        .filter(|s| s.stack.iter().any(|f| f.function.contains("exercise")))
        .map(|s| s.live_bytes)
        .sum();
    assert!(left < 100_000.0, "{left} bytes seem to live");
}
