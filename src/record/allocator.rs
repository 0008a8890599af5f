//! `HeapWatch<A>`: the order of the steps around the inner allocator, and nothing else.
//!
//! Fast path of an allocation: count, compare, forward. Of a free: count, test the low bits of the pointer, forward. What
//! is rarer is `#[cold]`: a thread without a block, a due mark that is passed, a pointer at the start of a page.
//!
//! A sampled block is asked for with `PAGE − 1` bytes more and handed out at the next page boundary inside; the alignment asked
//! for stays the caller's, because std's System answers an alignment of a page with a copy in `realloc` and a memset in
//! `alloc_zeroed`. This file alone knows that layout: [`padded`] makes it, at the sample and again at the free.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use std::alloc::System;

use super::event::{self, Call, Sample};
use super::live::LiveTable;
use super::page_map::{Entry, PAGE, PageMap};
use super::stack::{self, MAX_FRAMES};
use super::sync::Ordering;
use super::thread::{self, Block, Drop, SHARED};

/// Records of live samples, for all instances: a block may be freed through any of them.
pub static LIVE: LiveTable = LiveTable::new();
/// Addresses of live samples.
pub static PAGES: PageMap = PageMap::new();

/// No allocator can give a block of half the address space.
const IMPOSSIBLE: usize = 1 << (usize::BITS - 17);

/// Wraps an allocator: counts exactly, samples what [`crate::Watch`] asks for, forwards everything.
///
/// ```
/// use heapwatch::HeapWatch;
///
/// #[global_allocator]
/// static HEAP: HeapWatch = HeapWatch::system();
/// # fn main() {}
/// ```
///
/// Cost: a few instructions an allocation and a free, no atomic read-modify-write, no lock. Without a started watch it
/// counts and takes no samples.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeapWatch<A = System> {
    inner: A,
}

impl HeapWatch<System> {
    /// Wraps the system's allocator.
    pub const fn system() -> HeapWatch<System> {
        HeapWatch { inner: System }
    }
}

impl<A> HeapWatch<A> {
    /// Wraps any allocator: `HeapWatch::new(MiMalloc)`.
    pub const fn new(inner: A) -> HeapWatch<A> {
        HeapWatch { inner }
    }
}

// SAFETY: every block comes from the inner allocator. An unsampled one is the inner block itself, with the caller's layout. A
// sampled one lies inside an inner block of the `padded` layout, which is larger by what the offset may be, and its alignment
// is a page's or, for layouts that ask for a page or more, the inner block's own. The page map finds the offset at the free.
unsafe impl<A: GlobalAlloc> GlobalAlloc for HeapWatch<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(block) = thread::current()
            && !block.count_alloc(layout.size())
        {
            // SAFETY: the caller's layout, passed on.
            let p = unsafe { self.inner.alloc(layout) };
            if p.is_null() {
                count_failed(layout.size());
            }
            return p;
        }
        // SAFETY: as the caller promises.
        unsafe { self.slow_alloc(layout, Call::Alloc) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(block) = thread::current()
            && !block.count_alloc(layout.size())
        {
            // SAFETY: the caller's layout, passed on.
            let p = unsafe { self.inner.alloc_zeroed(layout) };
            if p.is_null() {
                count_failed(layout.size());
            }
            return p;
        }
        // SAFETY: as the caller promises.
        unsafe { self.slow_alloc(layout, Call::AllocZeroed) }
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        if let Some(block) = thread::current() {
            block.count_free(layout.size());
            if !PageMap::is_page_start(p.addr()) {
                // SAFETY: a pointer that is no page's start was handed out as the inner allocator gave it.
                return unsafe { self.inner.dealloc(p, layout) };
            }
        } else {
            count_free_without_block(layout.size());
        }
        // SAFETY: as the caller promises.
        unsafe { self.slow_dealloc(p, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if let Some(block) = thread::current() {
            block.count_free(layout.size());
            if !block.count_alloc(new_size) && !PageMap::is_page_start(p.addr()) {
                // SAFETY: the pointer is the inner allocator's own, as in `dealloc`.
                let q = unsafe { self.inner.realloc(p, layout, new_size) };
                if q.is_null() {
                    count_failed_realloc(layout.size(), new_size);
                }
                return q;
            }
        }
        // SAFETY: as the caller promises.
        unsafe { self.slow_realloc(p, layout, new_size) }
    }
}

impl<A: GlobalAlloc> HeapWatch<A> {
    /// An allocation that may be a sample, or whose thread has no block yet.
    #[cold]
    #[inline(never)]
    unsafe fn slow_alloc(&self, layout: Layout, call: Call) -> *mut u8 {
        // With a block the fast path has counted already, whatever its answer was.
        let counted = thread::current();
        let block = counted.or_else(thread::current_or_claim);
        if counted.is_none() {
            count_alloc_late(block, layout.size());
        }
        if layout.size() >= IMPOSSIBLE {
            // Not to be had: counted it would be seen by the collector, and would carry the next sample out of reach.
            count_failed(layout.size());
            // SAFETY: the caller's layout, passed on.
            return unsafe { self.forward(layout, call) };
        }
        if let Some((block, interval)) = block.and_then(|b| Some((b, b.due_sample(layout.size())?))) {
            // SAFETY: as the caller promises.
            let sampled = unsafe { self.sampled_alloc(block, layout, call, interval) };
            if !sampled.is_null() {
                return sampled;
            }
        }
        // SAFETY: the caller's layout, passed on.
        let p = unsafe { self.forward(layout, call) };
        if p.is_null() {
            count_failed(layout.size());
        }
        p
    }

    unsafe fn forward(&self, layout: Layout, call: Call) -> *mut u8 {
        // SAFETY: the caller's layout, passed on.
        unsafe {
            match call {
                Call::AllocZeroed => self.inner.alloc_zeroed(layout),
                Call::Alloc | Call::Realloc => self.inner.alloc(layout),
            }
        }
    }

    /// Null when the sample cannot be kept: then nothing has happened but that the loss was counted.
    unsafe fn sampled_alloc(&self, block: &Block, layout: Layout, call: Call, interval: u64) -> *mut u8 {
        let Some(padded) = padded(layout) else { return ptr::null_mut() };
        let mut frames = [0; MAX_FRAMES];
        let Some(pending) = Pending::take(block, layout.size(), call, interval, &mut frames) else {
            return ptr::null_mut();
        };
        // SAFETY: `padded` has the caller's alignment and a size that is not 0.
        let inner = unsafe { self.forward(padded, call) };
        if inner.is_null() {
            pending.abandon();
            return ptr::null_mut();
        }
        let offset = offset_of(inner);
        let user = inner.wrapping_add(offset);
        if !PAGES.insert(user.addr(), Entry { slot: pending.slot, offset: offset as u32 }) {
            // SAFETY: the inner block just made, with the layout it was made with.
            unsafe { self.inner.dealloc(inner, padded) };
            pending.lose(Drop::PageMap);
            return ptr::null_mut();
        }
        pending.publish(user.addr());
        user
    }

    /// A free of a block that may begin on a page; it has been counted.
    #[cold]
    #[inline(never)]
    unsafe fn slow_dealloc(&self, p: *mut u8, layout: Layout) {
        // The entry goes first: once the inner block is free, another thread may be handed the same page and enter it.
        let Some((entry, padded)) = taken(p, layout) else {
            // SAFETY: no entry, so the pointer is the inner allocator's own.
            return unsafe { self.inner.dealloc(p, layout) };
        };
        note_freed(entry);
        // SAFETY: the entry's offset leads back to the inner pointer, whose layout was the padded one.
        unsafe { self.inner.dealloc(p.wrapping_sub(entry.offset as usize), padded) }
    }

    /// A resize of a block that begins on a page, or that may become a sample, or on a thread without a block.
    #[cold]
    #[inline(never)]
    unsafe fn slow_realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let counted = thread::current();
        let block = counted.or_else(thread::current_or_claim);
        if counted.is_none() {
            count_free_late(block, layout.size());
            count_alloc_late(block, new_size);
        }
        if new_size >= IMPOSSIBLE {
            count_failed_realloc(layout.size(), new_size);
            return ptr::null_mut();
        }
        let due = block.and_then(|b| Some((b, b.due_sample(new_size)?)));
        let old = taken(p, layout);
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, fits.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let padded = padded(new_layout);
        let due = due.filter(|_| padded.is_some());
        let mut frames = [0; MAX_FRAMES];
        let pending = due.and_then(|(b, interval)| Pending::take(b, new_size, Call::Realloc, interval, &mut frames));
        // SAFETY: `p` and `layout` are the caller's, `old` is what was known of that block.
        let q = unsafe {
            match (padded, old) {
                (Some(padded), old) if old.is_some() || pending.is_some() => {
                    self.padded_realloc(p, layout, old, new_layout, padded, pending)
                }
                (None, Some((entry, _))) => {
                    // Too large to pad, hence too large for any allocator: refused, and the old block stays what it was.
                    PAGES.insert(p.addr(), entry);
                    ptr::null_mut()
                }
                _ => self.inner.realloc(p, layout, new_size),
            }
        };
        if q.is_null() {
            count_failed_realloc(layout.size(), new_size);
        }
        q
    }

    /// A resize whose result is a padded block: a new sample if there is one pending, else untracked.
    ///
    /// The inner allocator resizes the inner block, so that a large one is remapped and not copied. The bytes are moved
    /// only if the page boundary falls elsewhere in the new block, or if the old block was not padded.
    unsafe fn padded_realloc(
        &self,
        p: *mut u8,
        layout: Layout,
        old: Option<(Entry, Layout)>,
        new_layout: Layout,
        padded: Layout,
        pending: Option<Pending<'_>>,
    ) -> *mut u8 {
        let old_offset = old.map_or(0, |(entry, _)| entry.offset as usize);
        let old_inner = p.wrapping_sub(old_offset);
        let old_inner_layout = old.map_or(layout, |(_, padded)| padded);
        // SAFETY: the inner block and the layout it was made with; the new size is that of a valid layout.
        let inner = unsafe { self.inner.realloc(old_inner, old_inner_layout, padded.size()) };
        if inner.is_null() {
            if let Some((entry, _)) = old {
                // Its place in the page map exists, so this cannot fail.
                PAGES.insert(p.addr(), entry);
            }
            pending.inspect(Pending::abandon);
            return ptr::null_mut();
        }
        let offset = offset_of(inner);
        let kept = layout.size().min(new_layout.size());
        if offset != old_offset {
            // SAFETY: both ranges lie in the inner block: old_offset + kept ≤ the smaller of the padded sizes, as an offset is
            // less than a page and at most what was added; offset likewise. `copy` allows the overlap.
            unsafe { ptr::copy(inner.wrapping_add(old_offset), inner.wrapping_add(offset), kept) };
        }
        if let Some((entry, _)) = old {
            note_freed(entry);
        }
        let user = inner.wrapping_add(offset);
        let slot = pending.as_ref().map_or(Entry::UNTRACKED, |p| p.slot);
        if PAGES.insert(user.addr(), Entry { slot, offset: offset as u32 }) {
            pending.inspect(|p| p.publish(user.addr()));
            return user;
        }
        pending.inspect(|p| p.lose(Drop::PageMap));
        // SAFETY: the inner block holds `kept` bytes at `offset` and has the padded layout.
        unsafe { self.without_padding(inner, offset, kept, padded, new_layout.size()) }
    }

    /// The page map has no room for the block: makes it a plain one again.
    #[cold]
    unsafe fn without_padding(
        &self,
        inner: *mut u8,
        offset: usize,
        kept: usize,
        padded: Layout,
        size: usize,
    ) -> *mut u8 {
        // SAFETY: both ranges lie in the inner block of size + PAGE − 1 bytes.
        unsafe { ptr::copy(inner.wrapping_add(offset), inner, kept) };
        // SAFETY: the inner block and its layout; shrinking.
        let shrunk = unsafe { self.inner.realloc(inner, padded, size) };
        // An allocator that refuses to shrink leaves the larger block: it holds the data, and losing them would be worse than
        // a size at its free that is too small by less than a page.
        if shrunk.is_null() { inner } else { shrunk }
    }
}

/// A sample that has its slot, its room in the ring and its stack, and waits for its block.
struct Pending<'a> {
    block: &'a Block,
    slot: u32,
    size: usize,
    call: Call,
    interval: u64,
    truncated: bool,
    started_ns: u64,
    /// In the buffer of whoever samples, as a copy of a kilobyte would not be free.
    frames: &'a [usize],
}

impl<'a> Pending<'a> {
    #[inline(always)]
    fn take(
        block: &'a Block,
        size: usize,
        call: Call,
        interval: u64,
        frames: &'a mut [usize; MAX_FRAMES],
    ) -> Option<Pending<'a>> {
        let Some(slot) = LIVE.reserve() else {
            block.count_drop(Drop::TableFull, size as u64, interval);
            return None;
        };
        // SAFETY: a block is the running thread's own, and so are the bounds it keeps.
        let captured = unsafe { stack::capture(frames, block.stack_bounds()) };
        if !block.ring().0.has_room(event::ring_words(captured.len)) {
            LIVE.release(slot);
            block.count_drop(Drop::RingFull, size as u64, interval);
            return None;
        }
        block.stacks().count(&captured);
        let frames = frames.get(..captured.len).unwrap_or_default();
        let (truncated, started_ns) = (captured.truncated, thread::clock_ns());
        Some(Pending { block, slot, size, call, interval, truncated, started_ns, frames })
    }

    fn publish(&self, address: usize) {
        let now = thread::clock_ns();
        let sample = Sample {
            call: self.call,
            truncated: self.truncated,
            size: self.size as u64,
            interval: self.interval,
            slot: self.slot,
            scope: self.block.scope(),
            address: address as u64,
            time_ns: now,
            latency_ns: u32::try_from(now.saturating_sub(self.started_ns)).unwrap_or(u32::MAX),
            thread: self.block.thread_id(),
            tag: self.block.tag(),
            carried_bytes: self.block.take_carried(),
        };
        let (ring, words) = self.block.ring();
        let frames = self.frames.iter().map(|f| *f as u64);
        let pushed = ring.push(words, &sample.header(), frames);
        debug_assert!(pushed, "room was there and only this thread takes it");
    }

    /// The sample is lost after all.
    fn lose(&self, cause: Drop) {
        self.abandon();
        self.block.count_drop(cause, self.size as u64, self.interval);
    }

    /// There is no allocation to sample.
    fn abandon(&self) {
        LIVE.release(self.slot);
    }
}

/// The layout of the inner block around a sampled one. The caller's own where that begins on a page anyway.
fn padded(layout: Layout) -> Option<Layout> {
    if layout.align() >= PAGE {
        return Some(layout);
    }
    Layout::from_size_align(layout.size().checked_add(PAGE - 1)?, layout.align()).ok()
}

/// Bytes from an inner block's start to the page boundary in it.
fn offset_of(inner: *mut u8) -> usize {
    inner.addr().wrapping_neg() % PAGE
}

/// Takes the entry of a block out of the page map, with the layout of its inner block.
fn taken(p: *mut u8, layout: Layout) -> Option<(Entry, Layout)> {
    let entry = PAGES.take(p.addr())?;
    // A sampled block's layout could be padded once, so it can be now.
    Some((entry, padded(layout)?))
}

fn note_freed(entry: Entry) {
    if entry.slot != Entry::UNTRACKED {
        LIVE.push_freed(entry.slot);
    }
}

/// The first call of a thread, or one after its exit.
fn count_alloc_late(block: Option<&Block>, size: usize) {
    if let Some(block) = block {
        block.count_alloc(size);
        return;
    }
    SHARED.allocations.fetch_add(1, Ordering::Relaxed);
    SHARED.allocated.fetch_add(size as u64, Ordering::Relaxed);
}

fn count_free_late(block: Option<&Block>, size: usize) {
    if let Some(block) = block {
        return block.count_free(size);
    }
    SHARED.frees.fetch_add(1, Ordering::Relaxed);
    SHARED.freed.fetch_add(size as u64, Ordering::Relaxed);
}

#[cold]
#[inline(never)]
fn count_free_without_block(size: usize) {
    count_free_late(thread::current_or_claim(), size);
}

/// The inner allocator refused. Looks the block up again, since to keep it in a register over the inner call would cost
/// every allocation.
#[cold]
#[inline(never)]
fn count_failed(size: usize) {
    if let Some(block) = thread::current() {
        return block.uncount_alloc(size);
    }
    SHARED.allocations.fetch_sub(1, Ordering::Relaxed);
    SHARED.allocated.fetch_sub(size as u64, Ordering::Relaxed);
}

#[cold]
#[inline(never)]
fn count_failed_realloc(old: usize, new: usize) {
    count_failed(new);
    if let Some(block) = thread::current() {
        return block.uncount_free(old);
    }
    SHARED.frees.fetch_sub(1, Ordering::Relaxed);
    SHARED.freed.fetch_sub(old as u64, Ordering::Relaxed);
}
