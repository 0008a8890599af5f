//! Stacks as this library captures them against those of libgcc's unwinder, taken at the same call: over all shapes of
//! code in which allocations happen, each in its own process's worth of frames.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use heapwatch::record::stack::{self, Captured, Ended, MAX_FRAMES, StackBounds};

unsafe extern "C-unwind" {
    fn _Unwind_Backtrace(each: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int, to: *mut c_void) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// Stacks compared by all tests together.
static COMPARED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static BOUNDS: StackBounds = StackBounds::of_current_thread();
}

fn by_libgcc() -> Vec<usize> {
    unsafe extern "C" fn each(context: *mut c_void, to: *mut c_void) -> c_int {
        // SAFETY: libgcc passes a valid context, and `to` is the vector below, borrowed for the call.
        unsafe { (*to.cast::<Vec<usize>>()).push(_Unwind_GetIP(context)) };
        0
    }
    let mut stack: Vec<usize> = Vec::with_capacity(512);
    // SAFETY: `each` is called during this call only, with the vector as its own.
    unsafe { _Unwind_Backtrace(each, (&raw mut stack).cast()) };
    stack.retain(|&address| address != 0);
    stack
}

/// Captures by both, here, and compares all frames above this one.
#[inline(never)]
fn compare() -> Captured {
    let bounds = BOUNDS.with(|bounds| *bounds);
    let mut out = [0; MAX_FRAMES];
    // SAFETY: the bounds are this thread's own.
    let captured = unsafe { stack::capture(&mut out, bounds) };
    let reference = by_libgcc();
    let own = &out[1..captured.len];
    let here = reference
        .iter()
        .position(|&address| Some(&address) == own.first())
        .expect("our first caller is known to libgcc");
    let reference = &reference[here..];
    if captured.ended == Ended::Depth {
        assert_eq!(own, &reference[..MAX_FRAMES - 1]);
    } else {
        assert_eq!(own, reference, "{captured:?}");
        assert_eq!(captured.ended, Ended::Complete);
    }
    assert_eq!(captured.truncated, captured.ended != Ended::Complete);
    assert_eq!(captured.recovered, 0);
    COMPARED.fetch_add(1, Relaxed);
    captured
}

fn main_cases() {
    recursion();
}

#[inline(never)]
fn recurse(depth: usize) -> usize {
    if depth == 0 {
        return compare().len;
    }
    black_box(recurse(black_box(depth - 1)))
}

fn recursion() {
    for depth in 0..200 {
        let len = recurse(depth);
        assert!(len > depth.min(MAX_FRAMES - 1), "{len} frames at depth {depth}");
    }
}

#[test]
fn smoke() {
    let report = stack::refresh();
    println!("{report:?} {:?}", stack::method());
    main_cases();
}
