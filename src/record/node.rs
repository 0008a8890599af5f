//! Memory that is mapped when first needed, published once and never given back, so that readers need no protection.

use core::ptr::NonNull;

use super::sync::{AtomicPtr, AtomicU32, Ordering};

/// What can be used in memory that nobody has written to.
///
/// # Safety
/// All bytes zero is a valid value.
pub unsafe trait Zeroed: Sized {
    /// Models' atomics are more than their bits, so models make the value that zeroes stand for.
    #[cfg(loom)]
    fn zeroed() -> Self;
}

// SAFETY: an atomic integer of all zeroes is 0.
unsafe impl<const N: usize> Zeroed for [AtomicU32; N] {
    #[cfg(loom)]
    fn zeroed() -> Self {
        core::array::from_fn(|_| AtomicU32::new(0))
    }
}

// SAFETY: an atomic pointer of all zeroes is null.
unsafe impl<T, const N: usize> Zeroed for [AtomicPtr<T>; N] {
    #[cfg(loom)]
    fn zeroed() -> Self {
        core::array::from_fn(|_| AtomicPtr::new(core::ptr::null_mut()))
    }
}

pub(super) fn follow<T>(link: &AtomicPtr<T>) -> Option<&T> {
    let node = NonNull::new(link.load(Ordering::Acquire))?;
    // SAFETY: a link is null or points to a whole T that is never unmapped (`follow_or_grow`).
    Some(unsafe { node.as_ref() })
}

/// Of two threads that grow the same link at once one wins and the other's mapping stays unused: at most one node for each
/// thread, ever, as the link is never null again.
pub(super) fn follow_or_grow<T: Zeroed>(link: &AtomicPtr<T>) -> Option<&T> {
    if let Some(node) = follow(link) {
        return Some(node);
    }
    let fresh = new::<T>()?;
    let _ = link.compare_exchange(core::ptr::null_mut(), fresh.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
    follow(link)
}

/// `None` when the bound or the kernel refuses.
#[cfg(not(loom))]
fn new<T: Zeroed>() -> Option<NonNull<T>> {
    const { assert!(size_of::<T>() > 0 && align_of::<T>() <= 4096, "a mapping begins on a page") };
    super::map::map(size_of::<T>()).map(NonNull::cast)
}

#[cfg(loom)]
fn new<T: Zeroed>() -> Option<NonNull<T>> {
    Some(NonNull::from(Box::leak(Box::new(T::zeroed()))))
}
