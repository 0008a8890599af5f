//! A wait-free ring from one thread to the collector: one producer, one consumer, words of 64 bits.
//!
//! A message is its length and that many words. `head` and `tail` count words ever written and read; the distance is what is
//! in the ring. The producer publishes a message by one release store of `head`, so the consumer sees all of it or none. No
//! room is an answer, not a wait. The producer role passes on with the thread's block, the consumer is always the collector.

use super::sync::{AtomicU64, Ordering};

/// Words in a ring; a power of two. 64 KiB, resident as they are used: more than a hundred stacks of 60 frames between two drains.
pub const RING_WORDS: usize = if cfg!(loom) { 8 } else { 8192 };

/// The ring's counters; the words stand beside it, in the same mapping, as [`Words`].
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Ring {
    /// Written by the producer only.
    head: AtomicU64,
    /// Written by the consumer only. Own cache line, so that a drain does not slow the producer's next sample.
    tail: Line<AtomicU64>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

/// The words of a ring.
pub type Words = [AtomicU64; RING_WORDS];

impl Ring {
    #[cfg(any(test, loom))]
    pub fn new() -> Ring {
        Ring { head: AtomicU64::new(0), tail: Line(AtomicU64::new(0)) }
    }

    /// Producer: whether a message of `words` fits now. It stays true until the producer's next push.
    pub fn has_room(&self, words: usize) -> bool {
        let used = self.head.load(Ordering::Relaxed) - self.tail.0.load(Ordering::Acquire);
        // Acquire: pairs with the consumer's release of `tail`, so that it has finished reading what is overwritten.
        words < RING_WORDS - used as usize
    }

    /// Producer: writes header and body as one message. False, and nothing written, when there is no room.
    pub fn push(&self, buffer: &Words, header: &[u64], body: impl ExactSizeIterator<Item = u64>) -> bool {
        let len = header.len() + body.len();
        if !self.has_room(len + 1) {
            return false;
        }
        let start = self.head.load(Ordering::Relaxed);
        let message = core::iter::once(len as u64).chain(header.iter().copied()).chain(body);
        for (at, word) in (start..).zip(message) {
            buffer[at as usize % RING_WORDS].store(word, Ordering::Relaxed);
        }
        self.head.store(start + len as u64 + 1, Ordering::Release);
        true
    }

    /// Consumer: hands each message to `each`, oldest first, and answers the share of the ring that was in use.
    pub fn drain(&self, buffer: &Words, scratch: &mut Vec<u64>, mut each: impl FnMut(&[u64])) -> f64 {
        let head = self.head.load(Ordering::Acquire);
        let mut at = self.tail.0.load(Ordering::Relaxed);
        let used = head - at;
        while at < head {
            let len = buffer[at as usize % RING_WORDS].load(Ordering::Relaxed);
            let words = (at + 1..at + 1 + len).map(|i| buffer[i as usize % RING_WORDS].load(Ordering::Relaxed));
            scratch.clear();
            scratch.extend(words);
            at += len + 1;
            // Release: the words of this message have been read before the producer may overwrite them.
            self.tail.0.store(at, Ordering::Release);
            each(scratch);
        }
        used as f64 / RING_WORDS as f64
    }

    /// Whether nothing was ever written.
    pub fn is_untouched(&self) -> bool {
        self.head.load(Ordering::Relaxed) == 0
    }

    /// Forgets what is in the ring. Only where no producer and no consumer runs: in a forked child.
    pub fn clear(&self) {
        self.tail.0.store(self.head.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
