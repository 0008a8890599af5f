//! Blocks on one thread.

use std::hint::black_box;

use super::Kept;
use crate::clock::Stopwatch;
use crate::dice::Dice;

/// A block of `size` bytes that is not written to; freed by its drop.
#[inline]
pub fn block(size: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(size))
}

/// `pairs` of one allocation and its free.
#[inline(never)]
pub fn pairs(pairs: u64, size: usize) {
    (0..pairs).for_each(|_| drop(block(black_box(size))));
}

/// Allocate 64 bytes, free them.
pub fn pair(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    pairs(1_000, 64);
    stopwatch.time(amount, || pairs(amount, 64));
    Box::new(())
}

/// Blocks in a batch.
const BATCH: usize = 10_000;

/// Allocate 10,000 blocks of 16 to 1039 bytes, free them in random order.
pub fn batch(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let mut dice = Dice::new(1);
    let sizes: Vec<usize> = (0..BATCH).map(|_| dice.small_size()).collect();
    let order = dice.order(BATCH);
    let mut blocks: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::new()).collect();
    let mut once = || {
        blocks.iter_mut().zip(&sizes).for_each(|(place, size)| *place = block(*size));
        order.iter().for_each(|i| blocks[*i] = Vec::new());
    };
    once();
    stopwatch.time(amount, || (0..amount).for_each(|_| once()));
    Box::new(())
}

/// Bytes that the growing vector is given at a time, and in all.
const PIECE: [u8; 4096] = [7; 4096];
const GROWN: usize = 1 << 20;

/// Grow a vector to 1 MiB.
pub fn realloc(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let grow = |_| {
        let mut bytes = Vec::new();
        while bytes.len() < GROWN {
            bytes.extend_from_slice(&PIECE);
        }
        black_box(bytes);
    };
    stopwatch.time(amount, || (0..amount).for_each(grow));
    Box::new(())
}

/// Sizes of the zeroed blocks, in turn.
const ZEROED: [usize; 3] = [256, 4096, 65_536];

/// Allocate zeroed blocks of 256 bytes, 4 KiB and 64 KiB, free them.
pub fn zeroed(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let sizes = ZEROED.iter().cycle().take(amount as usize);
    stopwatch.time(amount, || sizes.for_each(|size| drop(black_box(vec![0_u8; black_box(*size)]))));
    Box::new(())
}

/// Push `amount` bytes into a vector, eight at a time.
pub fn push(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let numbers = amount / 8;
    stopwatch.time(numbers, || {
        let mut vec = Vec::new();
        for number in 0..numbers {
            vec.push(black_box(number));
        }
        black_box(vec.len())
    });
    Box::new(())
}
