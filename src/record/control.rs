//! The few settings that flow from the watch to the hooks: on or off, and the interval.
//!
//! A thread re-reads them when it passes its due mark. A change raises `EPOCH` and lowers every thread's due mark to 0, so the
//! thread's next allocation sees it (see `Block::arm` for the race).

use super::sync::Ordering;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// Mean bytes between samples; [`OFF`] means none are taken.
static INTERVAL: AtomicU64 = AtomicU64::new(OFF);
static EPOCH: AtomicU32 = AtomicU32::new(1);

/// No samples.
pub const OFF: u64 = u64::MAX;

/// Interval and epoch. The epoch is read first: a change in between is seen again later, never missed.
pub fn read() -> (u32, u64) {
    let epoch = EPOCH.load(Ordering::Acquire);
    (epoch, INTERVAL.load(Ordering::Acquire))
}

pub fn epoch() -> u32 {
    EPOCH.load(Ordering::SeqCst)
}

pub fn interval() -> u64 {
    INTERVAL.load(Ordering::Relaxed)
}

/// Sets the interval ([`OFF`] to stop) for all threads, from their next allocation on.
pub fn set_interval(bytes: u64) {
    INTERVAL.store(bytes, Ordering::Release);
    EPOCH.fetch_add(1, Ordering::SeqCst);
    super::thread::poke_all();
}
