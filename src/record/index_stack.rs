//! A lock-free stack of small indices, with the links kept outside by whoever owns the things that are indexed.
//!
//! Used for free slots of the live table and for free thread blocks. A tag beside the head, one more at each change, makes
//! the compare-and-swap of a pop fail when the stack changed in between and came back to the same head (ABA); it would
//! take 2^32 changes during one pop to fool it. Index 0 means the end, so it is never pushed.

use super::sync::{AtomicU32, AtomicU64, Ordering};

/// Head and tag in one word: index in the low half, tag in the high half.
pub struct IndexStack {
    head: AtomicU64,
}

impl IndexStack {
    #[cfg(not(loom))]
    pub const fn new() -> IndexStack {
        IndexStack { head: AtomicU64::new(0) }
    }

    #[cfg(loom)]
    pub fn new() -> IndexStack {
        IndexStack { head: AtomicU64::new(0) }
    }

    /// Puts `index` on top. `link` is the link of that index, which belongs to the caller until this returns.
    pub fn push(&self, index: u32, link: &AtomicU32) {
        debug_assert_ne!(index, 0);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            link.store(head as u32, Ordering::Relaxed);
            // Release: whoever pops `index` sees the link and all that was written before the push.
            match self.head.compare_exchange_weak(head, next(head, index), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the top. `link_of` finds an index' link; it may be asked for an index that another thread has just taken.
    pub fn pop<'a>(&self, link_of: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        while head as u32 != 0 {
            let below = link_of(head as u32).load(Ordering::Relaxed);
            // Acquire on failure too: the link of the new head is read next. On success the pushes below stay visible, as
            // a read-modify-write continues their release sequence.
            match self.head.compare_exchange_weak(head, next(head, below), Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(head as u32),
                Err(now) => head = now,
            }
        }
        None
    }
}

fn next(head: u64, index: u32) -> u64 {
    (head >> 32).wrapping_add(1) << 32 | u64::from(index)
}
