//! The bytes a thread ever allocated, and the mark at which it looks whether a sample is due.
//!
//! One subtraction both counts the bytes and tells that it is time; a total and a mark to compare it with take twice the
//! instructions. The total is the mark less what is left until it, so the two change together under a version (a seqlock
//! with one writer): whoever reads from outside waits out a change, which is three stores. Who writes may change with the
//! hand-over of the thread's block, which orders what the two have written.

use super::super::sync::{AtomicI64, Counter, Ordering, fence, spin_loop};

/// One writer; anybody reads with [`seen_from_outside`](Allocated::seen_from_outside).
#[repr(C)]
pub struct Allocated {
    /// `look_at` less the total. Negative only between a count that passes the mark and the look it causes.
    until_look: AtomicI64,
    /// What the total will be when the owner looks next.
    look_at: Counter,
    /// Odd while the owner changes the pair.
    version: Counter,
    /// The total when the pair was last changed: what is right while the version is odd.
    settled: Counter,
}

impl Allocated {
    #[cfg(any(test, loom))]
    pub fn new() -> Allocated {
        let until_look = AtomicI64::new(0);
        Allocated { until_look, look_at: Counter::new(), version: Counter::new(), settled: Counter::new() }
    }

    /// Owner: adds `size`. True: the mark is passed.
    #[inline(always)]
    pub fn count(&self, size: usize) -> bool {
        let until = self.until_look.load(Ordering::Relaxed) - size as i64;
        self.until_look.store(until, Ordering::Relaxed);
        until < 0
    }

    /// Owner: the total.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.look_at.get().wrapping_sub(self.until_look.load(Ordering::Relaxed) as u64)
    }

    /// Owner: sets the total and the mark, which is not below it.
    pub fn set(&self, total: u64, mark: u64) {
        let version = self.version.get();
        self.settled.set(total);
        self.version.set(version + 1);
        // Release: who sees one of the pair's new values sees the odd version.
        fence(Ordering::Release);
        self.look_at.set(mark);
        self.until_look.store(mark.saturating_sub(total) as i64, Ordering::Relaxed);
        // Release: who sees the even version sees the pair.
        self.version.release(version + 2);
    }

    /// Some total that there was, for any thread.
    pub fn seen_from_outside(&self) -> u64 {
        loop {
            let version = self.version.acquire();
            let total = self.get();
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && self.version.get() == version {
                return total;
            }
            spin_loop();
        }
    }

    /// In a forked child, whose other threads stopped anywhere: ends a change that its owner will not end.
    pub fn settle(&self) {
        let version = self.version.get();
        if !version.is_multiple_of(2) {
            let total = self.settled.get();
            self.look_at.set(total);
            self.until_look.store(0, Ordering::Relaxed);
            self.version.release(version + 1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_total_runs_on_over_marks() {
        let a = Allocated::new();
        assert!(a.count(5));
        a.set(5, 12);
        assert!(!a.count(7));
        assert!(a.count(1));
        assert_eq!((a.get(), a.seen_from_outside()), (13, 13));
    }

    #[test]
    fn a_change_that_a_fork_cut_short_is_ended() {
        let a = Allocated::new();
        a.set(100, 150);
        a.count(20);
        a.settle();
        assert_eq!(a.seen_from_outside(), 120);
        // The first half of `set(120, 500)`.
        a.settled.set(120);
        a.version.set(a.version.get() + 1);
        a.look_at.set(500);
        a.settle();
        assert_eq!((a.get(), a.seen_from_outside()), (120, 120));
    }
}
