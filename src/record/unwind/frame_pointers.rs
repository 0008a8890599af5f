//! When a walk follows frame pointers: one load a frame instead of a look into tables.
//!
//! Only in the executable, and only if its tables show that every function which makes calls keeps a frame pointer. Where a
//! walk passes into a library, tables take over and hand back, as a frame-pointer step leaves every register a
//! table needs. The proof has a hole (code without `.eh_frame`), so walks are compared with tables' at first and now and
//! then, and one difference ends the method for good.

use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// So many walks are compared before any goes unchecked.
const CHECKED_FIRST: usize = 64;
/// Afterwards one in so many: it costs a hundredth of the walks' time, and finds a difference within minutes.
const CHECKED_EVERY: usize = 1024;

/// Which code is walked by frame pointers.
#[derive(Debug)]
pub(super) struct FramePointers {
    start: AtomicUsize,
    bytes: AtomicUsize,
    walks: AtomicUsize,
    rejected: AtomicBool,
}

/// A range of code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    start: usize,
    bytes: usize,
}

impl Code {
    pub(super) fn is_empty(self) -> bool {
        self.bytes == 0
    }

    #[inline(always)]
    pub(super) fn holds(self, pc: usize) -> bool {
        pc.wrapping_sub(self.start) < self.bytes
    }
}

impl FramePointers {
    pub(super) const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            walks: AtomicUsize::new(0),
            rejected: AtomicBool::new(false),
        }
    }

    /// The code to walk by frame pointers now. A hook that reads `start` too early sees `bytes` of 0: `adopt` is called once.
    #[inline(always)]
    pub(super) fn code(&self) -> Code {
        let bytes = self.bytes.load(Acquire);
        Code { start: self.start.load(Relaxed), bytes }
    }

    /// The tables show that all of `start..end` keeps frame pointers.
    pub(super) fn adopt(&self, start: usize, end: usize) {
        if self.bytes.load(Relaxed) == 0 && !self.rejected.load(Relaxed) {
            self.start.store(start, Relaxed);
            self.bytes.store(end.saturating_sub(start), Release);
        }
    }

    /// A walk by frame pointers was wrong.
    pub(super) fn reject(&self) {
        self.rejected.store(true, Relaxed);
        self.bytes.store(0, Relaxed);
    }

    /// Whether the next walk is to be compared. Counts without a read-modify-write: a lost count shifts the next check.
    #[inline(always)]
    pub(super) fn is_check_due(&self) -> bool {
        let walks = self.walks.load(Relaxed);
        self.walks.store(walks.wrapping_add(1), Relaxed);
        walks < CHECKED_FIRST || walks.is_multiple_of(CHECKED_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_method_does_not_come_back() {
        let method = FramePointers::new();
        assert!(method.code().is_empty());
        method.adopt(100, 200);
        assert!(method.code().holds(100) && method.code().holds(199));
        assert!(!method.code().holds(200) && !method.code().holds(99));
        method.reject();
        method.adopt(100, 200);
        assert!(method.code().is_empty());
    }

    #[test]
    fn the_first_walks_are_all_checked_and_then_a_few() {
        let method = FramePointers::new();
        let due = (0..10 * CHECKED_EVERY).filter(|_| method.is_check_due()).count();
        assert_eq!(due, CHECKED_FIRST + 9);
    }
}
