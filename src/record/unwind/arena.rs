//! The memory of the tables: one range reserved once, filled from the front by the collector, never given back.
//!
//! Hooks read tables without a lock and without saying so, hence nothing that was ever published may be unmapped or
//! reused. The range is the bound on that: when it is full, no more tables are built and the code they would cover
//! is walked by frame pointers or not at all. Only pages that were written cost memory.

use std::ptr;

/// All tables of the process together stay below this. A row is 8 bytes and a row covers about 20 bytes of code, so
/// this is room for the tables of 60 MB of code that really allocates; untouched code has no tables beyond
/// [`EAGER_BYTES`](super::refresh::EAGER_BYTES).
pub(super) const LIMIT_BYTES: usize = 32 << 20;

/// A type that may live in the arena.
///
/// # Safety
/// All-zero bytes are a valid value, it needs no drop, and its alignment is at most 8.
pub(super) unsafe trait Plain: 'static {}

// SAFETY: an integer of alignment 2, valid when zero.
unsafe impl Plain for u16 {}

/// The reserved range. Owned by the collector; what was taken from it may be read by anybody.
pub(super) struct Arena {
    base: *mut u8,
    used_bytes: usize,
}

// SAFETY: the range belongs to the arena alone, whichever thread holds it.
unsafe impl Send for Arena {}

impl Arena {
    /// `None` where the system refuses the address range.
    pub(super) fn reserve() -> Option<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                LIMIT_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        (base != libc::MAP_FAILED).then_some(Self { base: base.cast(), used_bytes: 0 })
    }

    /// Bytes taken so far.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Everything not taken yet, to be written to before its length is known; [`take`](Self::take) then keeps a prefix.
    pub(super) fn rest<T: Plain>(&mut self) -> &mut [T] {
        let count = (LIMIT_BYTES - self.used_bytes) / size_of::<T>();
        // SAFETY: `used_bytes` is a multiple of 8 below the limit, so the range is ours, aligned, mapped, and valid
        // as `T` whether still zero or written as another `Plain`'s prefix that was not kept; `&mut self` is unique.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(self.used_bytes).cast(), count) }
    }

    /// The next `count` values, for good. `None` when they do not fit.
    pub(super) fn take<T: Plain>(&mut self, count: usize) -> Option<&'static mut [T]> {
        let bytes = count.checked_mul(size_of::<T>())?.checked_next_multiple_of(8)?;
        let end = self.used_bytes.checked_add(bytes).filter(|&end| end <= LIMIT_BYTES)?;
        // SAFETY: the range lies between what was taken and the limit, is aligned to 8, and is never handed out again
        // because `used_bytes` moves past it; the mapping is never removed, so it lives for 'static.
        let taken = unsafe { std::slice::from_raw_parts_mut(self.base.add(self.used_bytes).cast(), count) };
        self.used_bytes = end;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_takes_nothing() {
        let mut arena = Arena::reserve().unwrap();
        assert_eq!(arena.take::<u16>(3).unwrap().len(), 3);
        assert_eq!(arena.used_bytes(), 8);
        assert!(arena.take::<u16>(LIMIT_BYTES).is_none());
        assert_eq!(arena.used_bytes(), 8);
        assert_eq!(arena.rest::<u16>().len(), (LIMIT_BYTES - 8) / 2);
    }

    #[test]
    fn a_prefix_that_was_written_is_the_one_that_is_taken() {
        let mut arena = Arena::reserve().unwrap();
        arena.rest::<u16>()[..2].copy_from_slice(&[7, 9]);
        assert_eq!(arena.take::<u16>(2).unwrap(), &[7, 9]);
    }
}
