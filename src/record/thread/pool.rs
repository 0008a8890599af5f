//! Things that threads claim and give back, each with one owner at a time: never freed, never moved, found by all.
//!
//! They come in chunks from the kernel, of which only what is touched becomes resident. Those of the recorder's own threads go
//! round apart from the application's, as what they have counted does. What an owner wrote, the next one sees.

use super::super::index_stack::IndexStack;
use super::super::node::{Zeroed, follow, follow_or_grow};
use super::super::sync::{AtomicPtr, AtomicU32, Counter, Ordering};

/// In one mapping.
const CHUNK: usize = if cfg!(loom) { 1 } else { 16 };
/// In all.
pub const CAPACITY: usize = if cfg!(loom) { 2 } else { 1 << 16 };

/// Where in its pool a thing is. Indices start at 1.
#[derive(Debug)]
pub struct Place {
    index: Counter,
    /// Link of the free list it is on.
    link: AtomicU32,
}

impl Place {
    #[cfg(loom)]
    pub fn new() -> Place {
        Place { index: Counter::new(), link: AtomicU32::new(0) }
    }

    pub fn index(&self) -> u64 {
        self.index.get()
    }
}

/// What a pool can hold.
pub trait Pooled: Zeroed + 'static {
    fn place(&self) -> &Place;
}

struct Chunk<T>([T; CHUNK]);

// SAFETY: an array of such as may be zero.
unsafe impl<T: Zeroed> Zeroed for Chunk<T> {
    #[cfg(loom)]
    fn zeroed() -> Self {
        Chunk(core::array::from_fn(|_| T::zeroed()))
    }
}

pub struct Pool<T> {
    chunks: [AtomicPtr<Chunk<T>>; CAPACITY / CHUNK],
    /// Indices below this were handed out before; those from here on never.
    fresh: AtomicU32,
    /// Given back.
    free: IndexStack,
    free_internal: IndexStack,
}

impl<T: Pooled> Pool<T> {
    #[cfg(not(loom))]
    pub const fn new() -> Pool<T> {
        Pool {
            chunks: [const { AtomicPtr::new(core::ptr::null_mut()) }; CAPACITY / CHUNK],
            fresh: AtomicU32::new(1),
            free: IndexStack::new(),
            free_internal: IndexStack::new(),
        }
    }

    #[cfg(loom)]
    pub fn new() -> Pool<T> {
        Pool {
            chunks: Zeroed::zeroed(),
            fresh: AtomicU32::new(1),
            free: IndexStack::new(),
            free_internal: IndexStack::new(),
        }
    }

    /// One that nobody owns: one given back before any that was never used. `None` when all are owned, or none can be mapped.
    pub fn claim(&self, internal: bool) -> Option<&T> {
        // An index on the list was given back, so what it stands for exists and nothing stands in for its link.
        let popped = self.free(internal).pop(|index| self.get(index).map_or(&self.fresh, |t| &t.place().link));
        popped.and_then(|index| self.get(index)).or_else(|| self.fresh())
    }

    /// Gives back what `claim` gave, with all that was written to it.
    pub fn release(&self, internal: bool, thing: &T) {
        let place = thing.place();
        self.free(internal).push(place.index.get() as u32, &place.link);
    }

    /// Each that was ever claimed.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let end = self.fresh.load(Ordering::Acquire).min(CAPACITY as u32 + 1);
        (1..end).filter_map(|index| self.get(index))
    }

    /// How many there are memory for.
    pub fn mapped(&self) -> usize {
        self.chunks.iter().filter(|chunk| follow(chunk).is_some()).count() * CHUNK
    }

    fn free(&self, internal: bool) -> &IndexStack {
        if internal { &self.free_internal } else { &self.free }
    }

    fn fresh(&self) -> Option<&T> {
        // The memory is there before the index is taken, so that a refusal wastes none.
        self.get_or_map(self.fresh.load(Ordering::Relaxed))?;
        let index = self.fresh.fetch_add(1, Ordering::AcqRel);
        let thing = self.get_or_map(index)?;
        thing.place().index.set(u64::from(index));
        Some(thing)
    }

    fn get(&self, index: u32) -> Option<&T> {
        let (chunk, at) = split(index);
        follow(self.chunks.get(chunk)?)?.0.get(at)
    }

    fn get_or_map(&self, index: u32) -> Option<&T> {
        let (chunk, at) = split(index);
        follow_or_grow(self.chunks.get(chunk)?)?.0.get(at)
    }
}

fn split(index: u32) -> (usize, usize) {
    let at = (index as usize).wrapping_sub(1);
    (at / CHUNK, at % CHUNK)
}
