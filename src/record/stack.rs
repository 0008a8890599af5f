//! The stack of an allocation: return addresses, the caller's first, into a fixed array.
//!
//! [`capture`] may be called from inside an allocation, on any thread and any stack, in a signal handler and after a fork:
//! it takes no lock, allocates nothing, cannot panic, and reads only memory it knows to be mapped. Everything it needs to know
//! beforehand the collector's thread provides with [`refresh`]; before the first refresh there are no frames.
//! Names are found elsewhere and later.
//!
//! A stack that could not be walked to its end is cut off, says so, and says why. Frames without a table are passed by
//! frame pointer if that leads to known code, and that is said and counted too.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
use super::elsewhere as walker;
#[cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
use super::unwind as walker;

pub use walker::StackBounds;

/// Frames kept of a stack, innermost first. Deeper ones are cut off at their outer end.
pub const MAX_FRAMES: usize = 128;

/// What [`capture`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Addresses written.
    pub len: usize,
    /// Whether frames are, or may be, missing: beyond these, or where one was recovered.
    pub truncated: bool,
    /// Why the walk ended.
    pub ended: Ended,
    /// Places where no table describes the code and the frame pointer led on, to a known module. Code that keeps frame pointers
    /// (as just-in-time compilers do) loses nothing there; of other code the frames are missing.
    pub recovered: usize,
}

impl Captured {
    /// No frame at all.
    pub(super) fn nothing(ended: Ended) -> Self {
        Self { len: 0, truncated: true, ended, recovered: 0 }
    }
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Ended {
    /// At the outermost frame.
    Complete,
    /// At [`MAX_FRAMES`].
    Depth,
    /// The next frame would be outside the stack, or outside what could be read of it.
    LeftStack,
    /// Code of no known module, or whose table the collector has yet to build.
    NoTable,
    /// The table describes the frame in a way that is not understood.
    Unsupported,
}

impl Ended {
    /// All of them, in the order of [`StackTotals::ended`].
    pub const ALL: [Self; 5] = [Self::Complete, Self::Depth, Self::LeftStack, Self::NoTable, Self::Unsupported];

    /// Whether nothing usable was known of the frame, rather than its stack being at an end.
    pub(super) fn is_for_want_of_a_rule(self) -> bool {
        matches!(self, Self::NoTable | Self::Unsupported)
    }
}

/// How frames of the executable are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the tables made of `.eh_frame`.
    Tables,
    /// By frame pointers on those pages of the executable where all functions keep them; the rest of it and libraries by
    /// tables.
    FramePointers,
    /// By the platform's unwinder, which may lock.
    Platform,
}

/// Writes the stack of the calling function to the front of `out`: first the address in the caller to which this call
/// returns, then that function's return address, and so on.
///
/// # Safety
/// `bounds` are from [`StackBounds::of_current_thread`] on the calling thread, or the default, with which the walk is as
/// right and slower.
#[inline(always)]
pub unsafe fn capture(out: &mut [usize; MAX_FRAMES], bounds: StackBounds) -> Captured {
    // SAFETY: by the caller's promise.
    unsafe { walker::capture(out, bounds) }
}

/// Brings what [`capture`] reads up to date with the modules now loaded: at start, then at every tick. Cheap when nothing changed
/// (one look at the dynamic linker's counters). For the collector's thread: it allocates, and takes the dynamic
/// linker's lock for about a millisecond at a time.
pub fn refresh() -> RefreshReport {
    walker::refresh()
}

/// The modules loaded at the last [`refresh`], the executable first. For the collector's thread.
pub fn modules() -> Vec<Module> {
    walker::modules()
}

/// How the executable's frames are walked now.
pub fn method() -> Method {
    walker::method()
}

/// A loaded module. Two of one `path` at different addresses are different modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file, as the dynamic linker names it; for the executable, where it was started from.
    pub path: PathBuf,
    /// What was added to the file's addresses when it was loaded.
    pub bias: usize,
    /// First address of its code.
    pub start: usize,
    /// First address after its code.
    pub end: usize,
    /// Offset in the file of the byte at `start`.
    pub file_offset: u64,
    /// The linker's identification of the file, 20 bytes as a rule; empty if it has none.
    pub build_id: Vec<u8>,
    /// Whether this is the executable.
    pub is_main: bool,
}

/// What a [`refresh`] found and made. Numbers are totals since the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefreshReport {
    /// Whether modules were loaded or unloaded since the last refresh.
    pub modules_changed: bool,
    /// Modules loaded now.
    pub modules: usize,
    /// Those among them whose code cannot be walked by table: no `.eh_frame_hdr`, or beyond a bound.
    pub modules_without_table: usize,
    /// Pieces of 64 KiB of code for which there are rows.
    pub pieces_decoded: usize,
    /// Pieces for which there was no room or nothing to read.
    pub pieces_refused: usize,
    /// Memory of all tables.
    pub table_bytes: usize,
}

/// One thread's count of its captures; that thread adds, anybody reads.
#[derive(Debug, Default)]
pub struct StackCounters {
    ended: [AtomicU64; Ended::ALL.len()],
    recovered: AtomicU64,
}

/// Sums of [`StackCounters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackTotals {
    /// Captures by why they ended, in the order of [`Ended::ALL`].
    pub ended: [u64; Ended::ALL.len()],
    /// Captures in which something was recovered; they are among the above.
    pub recovered: u64,
}

impl StackCounters {
    /// All zero.
    pub const fn new() -> Self {
        Self { ended: [const { AtomicU64::new(0) }; Ended::ALL.len()], recovered: AtomicU64::new(0) }
    }

    /// Counts one capture. Only ever called by one thread at a time: no read-modify-write.
    #[inline]
    pub fn count(&self, captured: &Captured) {
        let [.., unsupported] = &self.ended;
        let ended = self.ended.get(captured.ended as usize).unwrap_or(unsupported);
        ended.store(ended.load(Relaxed).wrapping_add(1), Relaxed);
        let recovered = self.recovered.load(Relaxed).wrapping_add(u64::from(captured.recovered > 0));
        self.recovered.store(recovered, Relaxed);
    }

    /// Adds these to `totals`.
    pub fn add_to(&self, totals: &mut StackTotals) {
        for (total, count) in totals.ended.iter_mut().zip(&self.ended) {
            *total += count.load(Relaxed);
        }
        totals.recovered += self.recovered.load(Relaxed);
    }
}

impl StackTotals {
    /// Captures counted.
    pub fn captures(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// Captures that did not reach the outermost frame.
    pub fn truncated(&self) -> u64 {
        let [complete, ..] = self.ended;
        self.captures() - complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_counted_where_their_order_says() {
        let counters = StackCounters::new();
        for (n, ended) in Ended::ALL.into_iter().enumerate() {
            assert_eq!(ended as usize, n);
            for _ in 0..=n {
                counters.count(&Captured { len: 1, truncated: n > 0, ended, recovered: n % 2 });
            }
        }
        let mut totals = StackTotals::default();
        counters.add_to(&mut totals);
        assert_eq!(totals, StackTotals { ended: [1, 2, 3, 4, 5], recovered: 2 + 4 });
        assert_eq!((totals.captures(), totals.truncated()), (15, 14));
    }
}
