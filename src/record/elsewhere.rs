//! Stacks on machines for which there are no tables of our own: by the `backtrace` crate.
//!
//! Its unwinder may lock and allocate inside itself, which an allocator hook should not; it works, it is slower, and a
//! program that unwinds in its own allocator may deadlock. Linux on x86-64 and AArch64 never comes here.

use super::stack::{Captured, Ended, MAX_FRAMES, Method, Module, RefreshReport};

/// Not needed by this unwinder, which finds the stack's end by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackBounds;

impl StackBounds {
    /// Nothing to find out.
    pub fn of_current_thread() -> Self {
        Self
    }
}

/// The stack above this function.
///
/// # Safety
/// None needed here: the bounds are not used. The other implementation relies on them.
#[inline(never)]
pub(super) unsafe fn capture(out: &mut [usize; MAX_FRAMES], _bounds: StackBounds) -> Captured {
    let own = capture as unsafe fn(_, _) -> _ as usize;
    let (mut len, mut left_own, mut ended) = (0, false, Ended::Complete);
    backtrace::trace(|frame| {
        if !left_own {
            left_own = frame.symbol_address() as usize == own;
            return true;
        }
        let Some(slot) = out.get_mut(len) else {
            ended = Ended::Depth;
            return false;
        };
        *slot = frame.ip() as usize;
        len += 1;
        true
    });
    if len == 0 {
        ended = Ended::Unsupported;
    }
    Captured { len, truncated: ended != Ended::Complete, ended, recovered: 0 }
}

/// No tables: nothing to bring up to date.
pub(super) fn refresh() -> RefreshReport {
    RefreshReport::default()
}

/// Not listed here.
pub(super) fn modules() -> Vec<Module> {
    Vec::new()
}

/// The platform's unwinder.
pub(super) fn method() -> Method {
    Method::Platform
}
