//! Memory for the recorder, straight from the kernel: zeroed, lazily resident, never given back.
//!
//! The hook must not call the allocator it stands in, so blocks, rings, page map and live table live here. A refusal is an
//! answer (`None`), counted by whoever asked. What was mapped is known, as it is part of the recorder's own memory.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

static MAPPED_BYTES: AtomicU64 = AtomicU64::new(0);
static REFUSE_ABOVE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Address space taken so far, in bytes. Resident is what was touched of it.
pub fn mapped_bytes() -> u64 {
    MAPPED_BYTES.load(Ordering::Relaxed)
}

/// From now on requests that would take the recorder's mappings above `bytes` are refused: a bound, and how tests refuse.
pub fn set_bound(bytes: u64) {
    REFUSE_ABOVE.store(bytes, Ordering::Relaxed);
}

/// Zeroed memory, page-aligned, resident when touched; `None` when the bound or the kernel refuses.
pub fn map(bytes: usize) -> Option<NonNull<u8>> {
    let before = MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    let got =
        if before.saturating_add(bytes as u64) > REFUSE_ABOVE.load(Ordering::Relaxed) { None } else { system(bytes) };
    if got.is_none() {
        MAPPED_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
    got
}

#[cfg(all(unix, not(miri)))]
fn system(bytes: usize) -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | NORESERVE;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory that exists.
    let p = unsafe { libc::mmap(core::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if p == libc::MAP_FAILED { None } else { NonNull::new(p.cast()) }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
const NORESERVE: libc::c_int = libc::MAP_NORESERVE;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android")), not(miri)))]
const NORESERVE: libc::c_int = 0;

/// Where there is no mmap (and under Miri) the system allocator serves; the wrapper is not in its way.
#[cfg(any(not(unix), miri))]
fn system(bytes: usize) -> Option<NonNull<u8>> {
    use std::alloc::{GlobalAlloc, Layout, System};
    let layout = Layout::from_size_align(bytes, 4096).ok()?;
    // SAFETY: the callers ask for more than 0 bytes.
    NonNull::new(unsafe { System.alloc_zeroed(layout) })
}
