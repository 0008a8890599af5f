//! Blocks between threads, and two threads at once.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::Kept;
use super::blocks::{block, pairs};
use crate::clock::Stopwatch;
use crate::dice::Dice;

/// Blocks that one thread hands to the other at a time, and how many such loads may wait.
const LOAD: usize = 1_000;
const WAITING: usize = 4;

/// One thread allocates, another frees.
pub fn cross_thread(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let mut dice = Dice::new(2);
    let sizes: Vec<usize> = (0..LOAD).map(|_| dice.small_size()).collect();
    let loads = amount.div_ceil(LOAD as u64);
    stopwatch.time(loads * LOAD as u64, || {
        let (sender, receiver) = sync_channel::<Vec<Vec<u8>>>(WAITING);
        thread::scope(|scope| {
            scope.spawn(move || receiver.iter().for_each(drop));
            for _ in 0..loads {
                let load = sizes.iter().map(|size| block(*size)).collect();
                sender.send(load).expect("the other thread receives until the last load");
            }
            drop(sender);
        });
    });
    Box::new(())
}

/// Two threads, each with its own pairs of 64 bytes: what one does must not cost the other anything.
pub fn two_threads(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let together = Barrier::new(2);
    let run = || {
        together.wait();
        pairs(black_box(amount), 64);
    };
    stopwatch.time(amount, || {
        thread::scope(|scope| {
            scope.spawn(run);
            run();
        });
    });
    Box::new(())
}
