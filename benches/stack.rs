//! One stack captured: nanoseconds by the method the executable allows (build with `-C force-frame-pointers=yes` for frame
//! pointers), against libgcc's unwinder, at 39 and 69 frames of 64 different functions.
//!
//! Every number is the least of many: what the machine does meanwhile only ever adds. "Cool" captures once after
//! reading 256 KiB of other memory, more than the first-level cache; "cold" after 4 MiB, more than the second. With
//! `HEAPWATCH_BENCH_BRIEF=1`, a few rounds and no claim.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::time::Instant;

use heapwatch::record::stack::{self, Captured, Ended, MAX_FRAMES, StackBounds};

unsafe extern "C-unwind" {
    fn _Unwind_Backtrace(each: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int, to: *mut c_void) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

type Frame = fn(&[usize], &mut dyn FnMut()) -> usize;

macro_rules! frames {
    ($($number:literal)*) => { [$(frame::<$number> as Frame,)*] };
}

/// Functions that differ, so that a walk meets as many rules and cache slots as in a program.
static FRAMES: [Frame; 64] = frames!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30
    31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);

#[inline(never)]
fn frame<const NUMBER: usize>(path: &[usize], at_the_end: &mut dyn FnMut()) -> usize {
    let mut room = [NUMBER; NUMBER];
    black_box(&mut room);
    match path {
        [] => at_the_end(),
        [next, rest @ ..] => {
            black_box(FRAMES[next % FRAMES.len()](rest, at_the_end));
        }
    }
    black_box(room.iter().sum())
}

/// The least nanoseconds for one call of `body`, over `rounds` of `calls`, with `before` outside the clock.
fn least(rounds: usize, calls: u32, mut before: impl FnMut(), mut body: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        before();
        let start = Instant::now();
        (0..calls).for_each(|_| body());
        least = least.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    least
}

#[inline(always)]
fn capture(out: &mut [usize; MAX_FRAMES], bounds: StackBounds) -> Captured {
    // SAFETY: every caller here took the bounds on the thread it is on.
    unsafe { stack::capture(out, bounds) }
}

fn by_libgcc() -> usize {
    unsafe extern "C" fn each(context: *mut c_void, len: *mut c_void) -> c_int {
        // SAFETY: libgcc passes a valid context, and `len` is the local below.
        unsafe {
            black_box(_Unwind_GetIP(context));
            *len.cast::<usize>() += 1;
        }
        0
    }
    let mut len = 0_usize;
    // SAFETY: `each` is called during this call only, with `len` as its own.
    unsafe { _Unwind_Backtrace(each, (&raw mut len).cast()) };
    len
}

/// Measures with `depth` frames above, counted from the capture.
fn measure(depth: usize, rounds: usize) {
    let bounds = StackBounds::of_current_thread();
    let mut out = [0; MAX_FRAMES];
    let elsewhere = vec![1_u8; 4 << 20];
    let mut at_the_end = || {
        let captured = capture(&mut out, bounds);
        assert_eq!((captured.ended, captured.recovered), (Ended::Complete, 0));
        let read = |bytes: usize| {
            black_box(elsewhere[..bytes].iter().step_by(64).map(|&byte| u64::from(byte)).sum::<u64>());
        };
        let mut capture = || {
            black_box(capture(&mut out, bounds));
        };
        let hot = least(rounds, 1000, || (), &mut capture);
        let timer = least(rounds, 1, || (), || ());
        let [cool, cold] = [256 << 10, 4 << 20].map(|bytes| least(rounds, 1, || read(bytes), &mut capture) - timer);
        let libgcc = least(
            rounds,
            50,
            || (),
            || {
                black_box(by_libgcc());
            },
        );
        let (frames, method) = (captured.len, stack::method());
        println!(
            "{frames:3} frames, {method:?}: {hot:7.0} ns hot, {cool:7.0} ns cool, {cold:7.0} ns cold, libgcc {libgcc:7.0} ns"
        );
    };
    let here = by_libgcc();
    let path: Vec<usize> = (1..depth.saturating_sub(here)).map(|n| n * 7).collect();
    black_box(frame::<0>(&path, &mut at_the_end));
}

fn main() {
    let rounds = if std::env::var_os("HEAPWATCH_BENCH_BRIEF").is_some() { 3 } else { 300 };
    println!("{:?}", stack::refresh());
    for depth in [39, 69] {
        measure(depth, rounds);
    }
}
