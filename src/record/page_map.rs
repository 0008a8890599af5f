//! Which pages a sampled block begins in: a radix tree over the page number, read wait-free.
//!
//! Three levels of 12 bits cover 48-bit addresses (tcmalloc's page map has the same shape). At most one sampled block begins in
//! a page, so an entry is one word: which record of the live table, and how far the block handed out is behind the inner
//! allocator's own pointer. Nodes are mapped when first needed, installed by compare-and-swap, never freed, so that a reader
//! needs no protection. Memory: 4 KiB for each 4 MiB of addresses in which a sampled block ever began, at most.

use super::node::{follow, follow_or_grow};
use super::sync::{AtomicPtr, AtomicU32, Ordering};

/// Blocks begin on multiples of this.
pub const PAGE: usize = 4096;
const PAGE_BITS: usize = PAGE.ilog2() as usize;
/// Bits of the page number that one level looks at.
const BITS: usize = if cfg!(loom) { 1 } else { 12 };
const FANOUT: usize = 1 << BITS;
const REACH: usize = 1 << (3 * BITS + PAGE_BITS);

/// What is known of a sampled block at its address. Never 0: an empty word means no sampled block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The record in the live table, or [`Entry::UNTRACKED`].
    pub slot: u32,
    /// Bytes from the inner allocator's pointer to the block handed out; below [`PAGE`].
    pub offset: u32,
}

impl Entry {
    /// The block is no sample any more (thinned, or resized without being sampled again), but its inner pointer must be found.
    pub const UNTRACKED: u32 = (1 << 20) - 1;

    fn word(self) -> u32 {
        debug_assert!(self.slot != 0 && self.slot <= Entry::UNTRACKED && (self.offset as usize) < PAGE);
        self.slot << PAGE_BITS | self.offset
    }

    fn of(word: u32) -> Option<Entry> {
        (word != 0).then_some(Entry { slot: word >> PAGE_BITS, offset: word % PAGE as u32 })
    }
}

type Leaf = [AtomicU32; FANOUT];
type Middle = [AtomicPtr<Leaf>; FANOUT];

/// The tree. Its root is 32 KiB, of which only the pages in use are resident.
pub struct PageMap {
    root: [AtomicPtr<Middle>; FANOUT],
}

impl PageMap {
    #[cfg(not(loom))]
    pub const fn new() -> PageMap {
        PageMap { root: [const { AtomicPtr::new(core::ptr::null_mut()) }; FANOUT] }
    }

    #[cfg(loom)]
    pub fn new() -> PageMap {
        PageMap { root: core::array::from_fn(|_| AtomicPtr::new(core::ptr::null_mut())) }
    }

    /// Whether a block at this address can have an entry at all.
    #[inline(always)]
    pub fn is_page_start(address: usize) -> bool {
        // Of the low half only: one short test instruction, where the whole word takes a shift.
        (address as u32).is_multiple_of(PAGE as u32)
    }

    /// Enters a block. False when the tree cannot grow or the address is out of reach; then nothing changed.
    pub fn insert(&self, address: usize, entry: Entry) -> bool {
        let Some(word) = self.word_or_grow(address) else { return false };
        // Release: a thread that is handed the block later takes the entry out and reads what was written before.
        word.store(entry.word(), Ordering::Release);
        true
    }

    /// Takes the entry of a block out. The owner of the block calls this, before the inner allocator can hand its page to
    /// anybody else; only [`untrack`](PageMap::untrack) can come between, so a swap decides who was first.
    pub fn take(&self, address: usize) -> Option<Entry> {
        if !PageMap::is_page_start(address) {
            return None;
        }
        let word = self.word(address)?;
        if word.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Entry::of(word.swap(0, Ordering::AcqRel))
    }

    /// Turns the entry of a block that is still this record's into an untracked one. False: the block is gone or going.
    pub fn untrack(&self, address: usize, slot: u32) -> bool {
        let Some(word) = self.word(address) else { return false };
        let Some(entry) = Entry::of(word.load(Ordering::Acquire)).filter(|e| e.slot == slot) else { return false };
        let untracked = Entry { slot: Entry::UNTRACKED, ..entry };
        word.compare_exchange(entry.word(), untracked.word(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn word(&self, address: usize) -> Option<&AtomicU32> {
        let middle = follow(self.root.get(address >> (2 * BITS + PAGE_BITS))?)?;
        let leaf = follow(&middle[(address >> (BITS + PAGE_BITS)) % FANOUT])?;
        Some(&leaf[(address >> PAGE_BITS) % FANOUT])
    }

    fn word_or_grow(&self, address: usize) -> Option<&AtomicU32> {
        if address >= REACH {
            return None;
        }
        let middle = follow_or_grow(&self.root[address >> (2 * BITS + PAGE_BITS)])?;
        let leaf = follow_or_grow(&middle[(address >> (BITS + PAGE_BITS)) % FANOUT])?;
        Some(&leaf[(address >> PAGE_BITS) % FANOUT])
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn new() -> &'static PageMap {
        Box::leak(Box::new(PageMap::new()))
    }

    #[test]
    fn an_entry_is_found_once() {
        let m = new();
        let e = Entry { slot: 5, offset: 4080 };
        for address in [0x1000, 0x7fff_ffff_f000, 0x5555_0000_0000] {
            assert_eq!(m.take(address), None);
            assert!(m.insert(address, e));
            assert_eq!(m.take(address), Some(e));
            assert_eq!(m.take(address), None);
        }
    }

    #[test]
    fn an_address_out_of_reach_is_refused() {
        let m = new();
        assert!(!m.insert(1 << 48, Entry { slot: 1, offset: 0 }));
        assert_eq!(m.take(usize::MAX & !0xFFF), None);
    }

    #[test]
    fn untracking_keeps_the_offset_and_minds_the_owner() {
        let m = new();
        m.insert(0x2000, Entry { slot: 9, offset: 16 });
        assert!(!m.untrack(0x2000, 8));
        assert!(m.untrack(0x2000, 9));
        assert!(!m.untrack(0x2000, 9));
        assert_eq!(m.take(0x2000), Some(Entry { slot: Entry::UNTRACKED, offset: 16 }));
    }
}
