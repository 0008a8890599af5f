//! A heap so large that nothing of it is in a cache.

use super::Kept;
use super::blocks::block;
use crate::clock::Stopwatch;
use crate::dice::Dice;

/// Live bytes for each replacement that is timed: 4 GiB make a million.
const BYTES_PER_CHANGE: u64 = 4096;

/// Fill `amount` bytes with blocks of 16 to 1039 bytes; then, timed, replace random ones.
pub fn big_heap(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let mut dice = Dice::new(4);
    let mut blocks = fill(amount, &mut dice);
    let changes = amount / BYTES_PER_CHANGE;
    stopwatch.time(changes, || {
        for _ in 0..changes {
            let place = dice.below(blocks.len());
            blocks[place] = written(dice.small_size());
        }
    });
    Box::new(blocks)
}

fn fill(bytes: u64, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut filled = 0;
    while filled < bytes {
        let size = dice.small_size();
        blocks.push(written(size));
        filled += size as u64;
    }
    blocks
}

/// A block whose first bytes are used, so that it is resident.
fn written(size: usize) -> Vec<u8> {
    let mut block = block(size);
    block.extend_from_slice(&[1; 16]);
    block
}
