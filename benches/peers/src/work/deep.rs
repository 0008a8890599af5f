//! Allocations far from `main`: what taking a stack costs.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use super::Kept;
use super::blocks::{block, pairs};
use crate::clock::Stopwatch;

/// Calls of our own. With those of the standard library's start and of the allocator, a stack has some 60 frames.
const CALLS: usize = 48;

type Frame = fn(usize, &mut dyn FnMut()) -> usize;

macro_rules! frames {
    ($($number:literal)*) => { [$(frame::<$number> as Frame,)*] };
}

/// Functions that differ, so that a walk meets as many rules as in a program.
static FRAMES: [Frame; 48] = frames!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48);

#[inline(never)]
fn frame<const NUMBER: usize>(calls: usize, at_the_end: &mut dyn FnMut()) -> usize {
    let mut room = [NUMBER; NUMBER];
    black_box(&mut room);
    match calls {
        0 => at_the_end(),
        _ => {
            black_box(FRAMES[calls * 7 % FRAMES.len()](calls - 1, at_the_end));
        }
    }
    black_box(room.iter().sum())
}

fn far_down(mut work: impl FnMut()) {
    black_box(frame::<1>(CALLS, &mut work));
}

/// Allocate 1 KiB and free it, 60 frames down.
pub fn deep(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    far_down(|| stopwatch.time(amount, || pairs(amount, 1024)));
    Box::new(())
}

/// Allocations in a burst: what a recorder's queue holds, since a sample that is lost for want of room costs less than one kept.
const BURST: usize = 64;
/// Long enough for a recorder to empty its queue.
const PAUSE: Duration = Duration::from_millis(30);

/// Allocate bursts of 64-byte blocks 60 frames down. The fastest burst counts.
pub fn sample(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(BURST);
    // Recorders that look at their settings now and then have looked after this.
    drop(block(1 << 20));
    far_down(|| {
        for _ in 0..amount {
            stopwatch.least(BURST as u64, || (0..BURST).for_each(|_| blocks.push(block(64))));
            blocks.clear();
            thread::sleep(PAUSE);
        }
    });
    Box::new(())
}
