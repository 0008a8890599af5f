//! Stacks as this library captures them against those that libgcc's unwinder finds at the same call, through all shapes of
//! code in which allocations happen. Address by address, to the outermost frame.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use heapwatch::record::stack::{self, Captured, Ended, MAX_FRAMES, Method, StackBounds};

unsafe extern "C-unwind" {
    fn _Unwind_Backtrace(each: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int, to: *mut c_void) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// What libgcc finds above this function, itself included.
#[inline(never)]
fn by_libgcc() -> Vec<usize> {
    unsafe extern "C" fn each(context: *mut c_void, to: *mut c_void) -> c_int {
        // SAFETY: libgcc passes a valid context, and `to` is the vector below, borrowed for the call.
        unsafe { (*to.cast::<Vec<usize>>()).push(_Unwind_GetIP(context)) };
        0
    }
    let mut stack: Vec<usize> = Vec::with_capacity(1024);
    // SAFETY: `each` is called during this call only, with the vector as its own.
    unsafe { _Unwind_Backtrace(each, (&raw mut stack).cast()) };
    stack.retain(|&address| address != 0);
    stack
}

/// Captures by both, here, and compares all frames above this one. Two calls in one function return to two addresses in
/// it, hence the first frame is left out. The walk is to end for the reason `outermost`.
#[inline(never)]
fn compare(bounds: StackBounds, outermost: Ended) -> Captured {
    let mut out = [0; MAX_FRAMES];
    // SAFETY: every caller passes the thread's own bounds or the default.
    let captured = unsafe { stack::capture(&mut out, bounds) };
    let (own, reference) = (&out[1..captured.len], by_libgcc());
    let above = reference.iter().position(|address| own.first() == Some(address));
    let reference = &reference[above.expect("our caller is not on libgcc's stack")..];
    match captured.ended {
        Ended::Depth => assert_eq!(own, &reference[..MAX_FRAMES - 1]),
        ended => assert_eq!((own, ended), (reference, outermost)),
    }
    assert_eq!(captured.truncated, captured.ended != Ended::Complete);
    assert_eq!(captured.recovered, 0);
    captured
}

/// Tables for every module of this process. Tests share it, so one of them may be at it already.
fn refresh() {
    while stack::refresh().modules == 0 {
        thread::yield_now();
    }
}

/// A random path through functions of different shapes, the same in every run (an xorshift).
struct Path {
    state: u64,
    bounds: StackBounds,
    outermost: Ended,
}

impl Path {
    fn new(seed: u64) -> Self {
        let bounds = StackBounds::of_current_thread();
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, bounds, outermost: Ended::Complete }
    }

    fn random(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }
}

/// Descends `depth` frames or more by a random path, and compares there.
#[inline(never)]
fn descend(path: &mut Path, depth: u64) -> usize {
    if depth == 0 {
        return compare(path.bounds, path.outermost).len;
    }
    let depth = depth - 1;
    1 + match path.random(9) {
        0 => descend(path, depth),
        1 => through_inlined(path, depth),
        2 => through_closure(|path| descend(path, depth), path),
        3 => through_dyn(&Level(depth), path),
        4 => through_room::<3>(path, depth) + through_room::<900>(path, 0),
        5 => through_qsort(path, depth),
        6 => through_drop(path, depth),
        7 => through_code_without_frame_pointer(path, depth),
        _ => through_unwinding(path, depth),
    }
}

#[inline(always)]
fn through_inlined(path: &mut Path, depth: u64) -> usize {
    #[inline(always)]
    fn again(path: &mut Path, depth: u64) -> usize {
        black_box(descend(path, depth))
    }
    black_box(again(path, depth))
}

#[inline(never)]
fn through_closure(next: impl FnOnce(&mut Path) -> usize, path: &mut Path) -> usize {
    black_box(next(path))
}

trait Descend {
    fn go(&self, path: &mut Path) -> usize;
}

struct Level(u64);

impl Descend for Level {
    fn go(&self, path: &mut Path) -> usize {
        descend(path, self.0)
    }
}

#[inline(never)]
fn through_dyn(next: &dyn Descend, path: &mut Path) -> usize {
    black_box(black_box(next).go(path))
}

/// A frame with locals, of another size for each `WORDS`, aligned further than the stack is.
#[inline(never)]
fn through_room<const WORDS: usize>(path: &mut Path, depth: u64) -> usize {
    #[repr(align(64))]
    struct Room<const WORDS: usize>([u64; WORDS]);
    let mut room = Room([depth; WORDS]);
    black_box(&mut room);
    descend(path, depth) + room.0.len()
}

/// C code in the middle, with a frame whose size is known only when it runs (`qsort` takes its buffer on the stack).
#[inline(never)]
fn through_qsort(path: &mut Path, depth: u64) -> usize {
    thread_local! {
        static NEXT: std::cell::Cell<Option<(*mut Path, u64)>> = const { std::cell::Cell::new(None) };
    }
    extern "C" fn order(a: *const c_void, b: *const c_void) -> c_int {
        if let Some((path, depth)) = NEXT.take() {
            // SAFETY: the path is borrowed by the caller of `qsort`, who does not touch it meanwhile.
            descend(unsafe { &mut *path }, depth);
        }
        // SAFETY: `qsort` passes elements of the array of u32.
        unsafe { (*a.cast::<u32>()).cmp(&*b.cast::<u32>()) as c_int }
    }
    let mut numbers: Vec<u32> = (0..2 + path.random(60) as u32).rev().collect();
    NEXT.set(Some((path, depth)));
    // SAFETY: the array has so many elements of that size, and the comparison does not unwind.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), size_of::<u32>(), Some(order)) };
    numbers.len()
}

// As a C compiler writes functions that keep no frame pointer and need the register for something else.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".text",
    "call_without_frame_pointer:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, 42",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "pop rbp",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn call_without_frame_pointer(function: extern "C" fn(*mut c_void), argument: *mut c_void);
}

/// Elsewhere nothing is between.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn call_without_frame_pointer(function: extern "C" fn(*mut c_void), argument: *mut c_void) {
    function(argument);
}

/// Code of the executable itself that keeps no frame pointer, between code that may.
#[inline(never)]
fn through_code_without_frame_pointer(path: &mut Path, depth: u64) -> usize {
    extern "C" fn go_on(argument: *mut c_void) {
        // SAFETY: the pair below, borrowed for the call.
        let (path, depth) = unsafe { &mut *argument.cast::<(&mut Path, u64)>() };
        descend(path, *depth);
    }
    let mut argument = (path, depth);
    // SAFETY: calls `go_on` once with the pair, which nothing else uses meanwhile.
    unsafe { call_without_frame_pointer(go_on, (&raw mut argument).cast()) };
    black_box(1)
}

struct OnDrop<'a>(&'a mut Path, u64);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        descend(self.0, self.1);
    }
}

#[inline(never)]
fn through_drop(path: &mut Path, depth: u64) -> usize {
    drop(black_box(OnDrop(path, depth)));
    1
}

/// The comparison happens in a destructor, while a panic unwinds through the frame.
#[inline(never)]
fn through_unwinding(path: &mut Path, depth: u64) -> usize {
    // Two at once would abort.
    if thread::panicking() {
        return descend(path, depth);
    }
    let path = std::panic::AssertUnwindSafe(path);
    let unwound = catch_unwind(move || {
        let path = path;
        let _at_the_end = OnDrop(path.0, depth);
        resume_unwind(Box::new(()));
    });
    usize::from(unwound.is_err())
}

#[test]
fn a_hundred_thousand_stacks_of_all_shapes_on_many_threads() {
    const THREADS: u64 = 4;
    const STACKS: u64 = 25_000;
    refresh();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut path = Path::new(thread + 1);
                for _ in 0..STACKS {
                    let depth = path.random(24);
                    black_box(descend(&mut path, depth));
                }
            });
        }
    });
    assert_eq!(stack::method(), expected_method());
}

/// What this program was built for: `tests/frame_pointers.rs` builds it with frame pointers and says so.
fn expected_method() -> Method {
    match std::env::var("HEAPWATCH_TEST_METHOD").as_deref() {
        Ok("frame_pointers") => Method::FramePointers,
        _ => Method::Tables,
    }
}

#[test]
fn deep_recursion_keeps_the_innermost_frames() {
    #[inline(never)]
    fn recurse(bounds: StackBounds, depth: usize) -> Captured {
        match depth {
            0 => compare(bounds, Ended::Complete),
            _ => black_box(recurse(bounds, black_box(depth - 1))),
        }
    }
    refresh();
    let bounds = StackBounds::of_current_thread();
    for depth in (0..200).chain([1000, 10_000]) {
        let captured = recurse(bounds, depth);
        assert!(captured.len > depth.min(MAX_FRAMES - 1), "{captured:?} at depth {depth}");
        assert!(
            captured.truncated || captured.len <= MAX_FRAMES && depth < MAX_FRAMES,
            "{captured:?} at depth {depth}"
        );
    }
}

#[test]
fn bounds_that_are_not_known_change_nothing() {
    refresh();
    let mut path = Path { bounds: StackBounds::default(), ..Path::new(9) };
    for _ in 0..2_000 {
        let depth = path.random(24);
        black_box(descend(&mut path, depth));
    }
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

/// Runs `compare` in a handler of `signal` on this thread, raised `times` times; on a stack of its own if `flags` say so.
fn compare_in_handler(signal: c_int, flags: c_int, times: usize) {
    extern "C" fn handler(_: c_int) {
        compare(StackBounds::of_current_thread(), Ended::Complete);
        HANDLED.fetch_add(1, Relaxed);
    }
    let before = HANDLED.load(Relaxed);
    // SAFETY: the handler only touches this thread's stack and an atomic, and is raised where nothing is half done.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
        for _ in 0..times {
            assert_eq!(libc::raise(signal), 0);
        }
    }
    assert_eq!(HANDLED.load(Relaxed) - before, times);
}

#[test]
fn signal_handlers_on_either_stack_lead_back_to_what_they_interrupted() {
    refresh();
    compare_in_handler(libc::SIGUSR1, 0, 200);
    let mut stack = vec![0_u8; 256 << 10];
    let other = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    let mut before: libc::stack_t = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: the memory outlives its use as a stack, which ends when the one before is put back.
    unsafe { assert_eq!(libc::sigaltstack(&other, &mut before), 0) };
    compare_in_handler(libc::SIGUSR1, libc::SA_ONSTACK, 200);
    // SAFETY: no handler is running.
    unsafe { assert_eq!(libc::sigaltstack(&before, std::ptr::null_mut()), 0) };
}

unsafe extern "C" {
    fn getcontext(context: *mut libc::ucontext_t) -> c_int;
    fn makecontext(context: *mut libc::ucontext_t, run: extern "C" fn(), arguments: c_int, ...);
    fn swapcontext(from: *mut libc::ucontext_t, to: *const libc::ucontext_t) -> c_int;
}

#[test]
fn a_fibers_stack_is_walked_to_its_outermost_function() {
    static COMPARED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn run() {
        // The bounds are the thread's, which the fiber's stack is outside of. Its outermost function was never called: the
        // byte before the address to which it would return is in no function.
        let mut path = Path { outermost: Ended::NoTable, ..Path::new(3) };
        for depth in 0..20 {
            descend(&mut path, depth);
        }
        COMPARED.fetch_add(1, Relaxed);
    }
    refresh();
    let mut stack = vec![0_u8; 512 << 10];
    // SAFETY: the contexts and the stack live until the fiber has returned to `caller`, which is when swapcontext returns.
    unsafe {
        let (mut caller, mut fiber): (libc::ucontext_t, libc::ucontext_t) = (std::mem::zeroed(), std::mem::zeroed());
        assert_eq!(getcontext(&mut fiber), 0);
        fiber.uc_stack.ss_sp = stack.as_mut_ptr().cast();
        fiber.uc_stack.ss_size = stack.len();
        fiber.uc_link = &mut caller;
        makecontext(&mut fiber, run, 0);
        assert_eq!(swapcontext(&mut caller, &fiber), 0);
    }
    assert_eq!(COMPARED.load(Relaxed), 1);
}

#[test]
fn modules_name_the_executable_and_hold_its_code() {
    refresh();
    let modules = stack::modules();
    let here = refresh as *const () as usize;
    let Some(main) = modules.iter().find(|module| module.is_main) else {
        // Another test's refresh holds the list at this moment.
        return modules_name_the_executable_and_hold_its_code();
    };
    assert!(main.start <= here && here < main.end, "{main:?}");
    assert_eq!(main.path, std::env::current_exe().unwrap());
}
