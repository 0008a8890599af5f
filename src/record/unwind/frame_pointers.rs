//! When a walk follows frame pointers: one load a frame instead of a look into tables.
//!
//! Only in the executable, if its tables show that most functions keep a frame pointer, and only on those pages of its code
//! where all do. Elsewhere tables take over and hand back, as a frame-pointer step leaves every register a table needs. Above
//! a signal handler tables lead on to the end. The proof has a hole (code without `.eh_frame`), so walks are compared with
//! tables' at first and now and then, and one difference ends the method for good.

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use super::rows::{PAGE_SHIFT, PageSet};

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
    unframed_pages: [AtomicU64; 64],
}

/// A range of code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    start: usize,
    bytes: usize,
}

impl Code {
    pub(super) const NONE: Self = Self { start: 0, bytes: 0 };

    pub(super) fn is_empty(self) -> bool {
        self.bytes == 0
    }
}

impl FramePointers {
    pub(super) const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            walks: AtomicUsize::new(0),
            rejected: AtomicBool::new(false),
            unframed_pages: [const { AtomicU64::new(0) }; 64],
        }
    }

    /// The code to walk by frame pointers now. A hook that reads `start` too early sees `bytes` of 0: `adopt` is called once.
    #[inline(always)]
    pub(super) fn code(&self) -> Code {
        let bytes = self.bytes.load(Acquire);
        Code { start: self.start.load(Relaxed), bytes }
    }

    /// Whether the frame pointer leads out of a frame whose return address is `after`, `code` being what is walked so.
    #[inline(always)]
    pub(super) fn lead_out_of(&self, code: Code, after: usize) -> bool {
        let offset = after.wrapping_sub(1).wrapping_sub(code.start);
        let page = offset >> PAGE_SHIFT;
        offset < code.bytes
            && self.unframed_pages.get(page / 64).is_some_and(|word| word.load(Relaxed) >> (page % 64) & 1 == 0)
    }

    /// The tables show that `start..end` keeps frame pointers but for some pages.
    pub(super) fn adopt(&self, start: usize, end: usize, unframed_pages: &PageSet) {
        if self.bytes.load(Relaxed) == 0 && !self.rejected.load(Relaxed) {
            for (to, &from) in self.unframed_pages.iter().zip(unframed_pages) {
                to.store(from, Relaxed);
            }
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
        let mut unframed = [0; 64];
        unframed[1] = 1;
        method.adopt(100, 1 << 24, &unframed);
        let leads = |after| method.lead_out_of(method.code(), after);
        assert!(!leads(100) && leads(101) && leads(100 + (64 << 12)));
        assert!(!leads(101 + (64 << 12)) && !leads(100 + (65 << 12)) && leads(101 + (65 << 12)));
        assert!(leads(1 << 24) && !leads(1 + (1 << 24)));
        method.reject();
        method.adopt(100, 200, &unframed);
        assert!(method.code().is_empty());
    }

    #[test]
    fn the_first_walks_are_all_checked_and_then_a_few() {
        let method = FramePointers::new();
        let due = (0..10 * CHECKED_EVERY).filter(|_| method.is_check_due()).count();
        assert_eq!(due, CHECKED_FIRST + 9);
    }
}
