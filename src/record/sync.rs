//! Atomics, from `core` or, in models, from `loom`. Everything shared in record/ goes through here.

#[cfg(not(loom))]
pub use core::hint::spin_loop;
#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub use loom::hint::spin_loop;
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

/// A counter with one writer: plain load, add, store. Readers see some recent value.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    #[cfg(not(loom))]
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    #[cfg(loom)]
    pub fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Adds and answers the sum. Only the one writer may call it.
    #[inline(always)]
    pub fn add(&self, n: u64) -> u64 {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(sum, Ordering::Relaxed);
        sum
    }

    /// Adds; who sees the sum and has acquired sees all that was written before. Only the one writer may call it.
    #[inline(always)]
    pub fn add_and_release(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
    }

    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The value, and all that was written before the [`release`](Counter::release) that stored it.
    #[inline]
    pub fn acquire(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Only the one writer may call it.
    #[inline]
    pub fn release(&self, n: u64) {
        self.0.store(n, Ordering::Release);
    }

    /// Only the one writer may call it.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}
