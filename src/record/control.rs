//! The few settings that flow from the watch to the hooks: on or off, and the interval.
//!
//! A thread re-reads them when it looks, after `thread::LOOK_BYTES` allocated bytes at the latest. A change raises the epoch, by
//! which the thread knows that its distance was drawn under another setting.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Mean bytes between samples; [`OFF`] means none are taken.
static INTERVAL: AtomicU64 = AtomicU64::new(OFF);
static EPOCH: AtomicU32 = AtomicU32::new(1);

/// No samples.
pub const OFF: u64 = u64::MAX;

/// Epoch and interval. The epoch is read first and written last: whoever sees a new epoch sees its interval, and a change
/// in between is seen at the next look.
pub fn read() -> (u32, u64) {
    let epoch = EPOCH.load(Ordering::Acquire);
    (epoch, INTERVAL.load(Ordering::Relaxed))
}

pub fn interval() -> u64 {
    INTERVAL.load(Ordering::Relaxed)
}

/// Sets the interval ([`OFF`] to stop) for all threads.
pub fn set_interval(bytes: u64) {
    INTERVAL.store(bytes, Ordering::Relaxed);
    EPOCH.fetch_add(1, Ordering::Release);
}
