//! The live table: a record for each sampled block that has not been freed, and the list of those that have.
//!
//! A record is no more than an index: what the collector knows of the sample it keeps at that index on its own side. Here are
//! the links that put an index on one of two lists:
//!
//! ```text
//! free slots ──reserve──▶ in use ──push_freed──▶ freed list ──take_freed──▶ collector ──release──▶ free slots
//!     ▲                     │ (ring full, inner allocation failed)                ▲
//!     └──────release────────┘                    in use ──PageMap::untrack────────┘ (thinning)
//! ```
//!
//! Invariant: an index is in one of these states, and a slot is reused only after the collector has seen its free, so an
//! event in a ring never meets a later life of its slot. The freed list has no capacity: a free cannot be lost.

use super::index_stack::IndexStack;
use super::node;
use super::page_map::Entry;
use super::sync::{AtomicPtr, AtomicU32, Ordering};

/// Slots at most. Index 0 and [`Entry::UNTRACKED`] are no slots. The links take 4 MiB of address space, resident as used.
pub const CAPACITY: u32 = if cfg!(loom) { 3 } else { Entry::UNTRACKED - 1 };

type Links = [AtomicU32; CAPACITY as usize + 1];

pub struct LiveTable {
    links: AtomicPtr<Links>,
    /// Slots below this were used before; those from here on never.
    fresh: AtomicU32,
    free: IndexStack,
    /// Head of the freed list; 0 ends it.
    freed: AtomicU32,
}

impl LiveTable {
    #[cfg(not(loom))]
    pub const fn new() -> LiveTable {
        LiveTable {
            links: AtomicPtr::new(core::ptr::null_mut()),
            fresh: AtomicU32::new(1),
            free: IndexStack::new(),
            freed: AtomicU32::new(0),
        }
    }

    #[cfg(loom)]
    pub fn new() -> LiveTable {
        LiveTable {
            links: AtomicPtr::new(core::ptr::null_mut()),
            fresh: AtomicU32::new(1),
            free: IndexStack::new(),
            freed: AtomicU32::new(0),
        }
    }

    /// A slot for a new sample; `None` when all are taken or the links could not be mapped.
    pub fn reserve(&self) -> Option<u32> {
        let links = self.links_or_map()?;
        if let Some(slot) = self.free.pop(|i| &links[i as usize]) {
            return Some(slot);
        }
        if self.fresh.load(Ordering::Relaxed) > CAPACITY {
            return None;
        }
        let slot = self.fresh.fetch_add(1, Ordering::Relaxed);
        if slot <= CAPACITY {
            return Some(slot);
        }
        // Lost the race for the last slots; keep the count from running away.
        self.fresh.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// Gives a slot back whose sample the collector knows to be over, or that never carried one.
    pub fn release(&self, slot: u32) {
        if let Some(links) = self.links() {
            self.free.push(slot, &links[slot as usize]);
        }
    }

    /// A sampled block is being freed: leaves its slot for the collector. Lock-free, no capacity.
    pub fn push_freed(&self, slot: u32) {
        let Some(links) = self.links() else { return };
        let mut head = self.freed.load(Ordering::Relaxed);
        loop {
            links[slot as usize].store(head, Ordering::Relaxed);
            // Release: the collector sees the link, and (through the program's own hand-over of the block) the event of the
            // allocation in its ring: whoever frees a block has synchronised with whoever allocated it.
            match self.freed.compare_exchange_weak(head, slot, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// All slots freed since the last call, newest first. The whole list is taken at once, so there is no ABA.
    pub fn take_freed(&self, out: &mut Vec<u32>) {
        let Some(links) = self.links() else { return };
        let mut slot = self.freed.swap(0, Ordering::Acquire);
        while slot != 0 {
            out.push(slot);
            slot = links[slot as usize].load(Ordering::Relaxed);
        }
    }

    /// Of the mapped links, what was never touched and so is not resident.
    pub fn untouched_bytes(&self) -> u64 {
        let used = self.fresh.load(Ordering::Relaxed) as usize;
        self.links().map_or(0, |l| l.len().saturating_sub(used) * size_of::<AtomicU32>()) as u64
    }

    fn links(&self) -> Option<&Links> {
        node::follow(&self.links)
    }

    fn links_or_map(&self) -> Option<&Links> {
        node::follow_or_grow(&self.links)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_round() {
        let t: &LiveTable = Box::leak(Box::new(LiveTable::new()));
        let a = t.reserve().unwrap();
        let b = t.reserve().unwrap();
        assert_ne!(a, b);
        t.push_freed(a);
        t.push_freed(b);
        let mut freed = vec![];
        t.take_freed(&mut freed);
        assert_eq!(freed, [b, a]);
        t.take_freed(&mut freed);
        assert_eq!(freed.len(), 2, "taken once");
        t.release(a);
        assert_eq!(t.reserve(), Some(a));
    }

    #[test]
    fn the_table_ends_at_its_capacity() {
        let t: &LiveTable = Box::leak(Box::new(LiveTable::new()));
        for want in 1..=CAPACITY {
            assert_eq!(t.reserve(), Some(want));
        }
        assert_eq!(t.reserve(), None);
        t.release(7);
        assert_eq!(t.reserve(), Some(7));
        assert_eq!(t.reserve(), None);
    }
}
