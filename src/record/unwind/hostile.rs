//! Walks over stacks and registers that hold anything at all: they must end, and read nothing that is not mapped.

use super::frame_pointers::FramePointers;
use super::machine::{self, NO_LINK, Registers};
use super::stack_memory::StackBounds;
use super::tests::guarded_pages;
use super::{UNWINDER, Unwinder, refresh};
use crate::record::stack::{Captured, Ended, MAX_FRAMES};

const PAGE: usize = 4096;
const PAGES: usize = 4;

/// A stream of random words, the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }
}

/// Mapped memory between unmapped neighbours, to be walked as if it were a stack.
struct Arena {
    words: *mut usize,
    low: usize,
}

impl Arena {
    fn new() -> Self {
        let low = guarded_pages(PAGES) as usize;
        Self { words: low as *mut usize, low }
    }

    fn high(&self) -> usize {
        self.low + PAGES * PAGE
    }

    fn fill(&self, mut word: impl FnMut() -> usize) {
        for n in 0..PAGES * PAGE / 8 {
            // SAFETY: within the pages mapped for this arena, which nothing else refers to.
            unsafe { self.words.add(n).write(word()) };
        }
    }
}

/// Addresses of code that walks do meet: of this program's own stacks, and all over its modules.
fn known_code() -> Vec<usize> {
    while refresh().modules == 0 {
        std::thread::yield_now();
    }
    let mut out = [0; MAX_FRAMES];
    // SAFETY: the bounds are this thread's.
    let captured = unsafe { super::capture(&mut out, StackBounds::of_current_thread()) };
    let mut code = out[..captured.len].repeat(8);
    code.extend(super::modules::list().modules.iter().flat_map(|loaded| {
        let (start, end) = (loaded.module.start, loaded.module.end);
        (0..16).map(move |n| start + n * ((end - start) / 16) + 3)
    }));
    code
}

/// A word of the kind that leads a walk on: code, somewhere on this stack, just beside it, or anything.
fn plausible(random: &mut Random, arena: &Arena, code: &[usize]) -> usize {
    match random.below(8) {
        0..=2 => code[random.below(code.len())],
        3..=4 => arena.low + random.below(PAGES * PAGE / 8) * 8,
        5 => arena.low.wrapping_sub(64).wrapping_add(random.below(PAGES * PAGE + 128)),
        6 => random.below(16).wrapping_sub(8),
        _ => random.next(),
    }
}

fn walk(unwinder: &Unwinder, at: Registers, bounds: StackBounds, out: &mut [usize; MAX_FRAMES]) -> Captured {
    let framed = unwinder.frame_pointers.code();
    // SAFETY: not as `walk` asks, as the bounds are not this thread's; but all they hold stays mapped, which is what that is for.
    unsafe {
        if framed.is_empty() {
            unwinder.walk::<false>(at, framed, bounds, out)
        } else {
            unwinder.walk::<true>(at, framed, bounds, out)
        }
    }
}

/// Walks random registers over random stacks; returns how many walks went more than two frames.
fn survive(unwinder: &Unwinder, code: &[usize], seed: u64, rounds: usize, own: bool) -> usize {
    let (arena, mut random) = (Arena::new(), Random(seed));
    let bounds = if own { StackBounds { low: arena.low, high: arena.high() } } else { StackBounds::default() };
    let mut out = [0; MAX_FRAMES];
    let mut far = 0;
    for round in 0..rounds {
        if round % 16 == 0 {
            let mut n = 0;
            arena.fill(|| {
                n += 1;
                match random.below(3) {
                    0 => plausible(&mut random, &arena, code),
                    // Half a frame record: an aligned place on the stack, then code.
                    _ if n % 2 == 1 => arena.low + random.below(PAGES * PAGE / 16) * 16,
                    _ => code[random.below(code.len())],
                }
            });
        }
        let at = Registers {
            after: plausible(&mut random, &arena, code),
            sp: match random.below(8) {
                0 => plausible(&mut random, &arena, code),
                _ => arena.low + random.below(PAGES * PAGE / 8) * 8,
            },
            fp: match random.below(2) {
                0 => plausible(&mut random, &arena, code),
                _ => arena.low + random.below(PAGES * PAGE / 16) * 16,
            },
            link: NO_LINK,
        };
        let captured = walk(unwinder, at, bounds, &mut out);
        assert!(captured.len <= MAX_FRAMES);
        assert_eq!(captured.truncated, captured.ended != Ended::Complete || captured.recovered > 0);
        far += usize::from(captured.len > 2);
    }
    far
}

#[test]
fn random_stacks_by_table() {
    let far = survive(&UNWINDER, &known_code(), 1, 50_000, true);
    assert!(far > 500, "only {far} walks got anywhere: the test tests nothing");
}

#[test]
fn random_stacks_that_are_not_the_threads() {
    let far = survive(&UNWINDER, &known_code(), 2, 20_000, false);
    assert!(far > 200, "only {far} walks got anywhere: the test tests nothing");
}

#[test]
fn random_stacks_by_frame_pointer() {
    static FRAMED: Unwinder = Unwinder {
        cache: super::cache::Cache::new(),
        directory: super::table::Directory::new(),
        frame_pointers: FramePointers::new(),
    };
    let main = super::modules::list().modules.remove(0).module;
    FRAMED.frame_pointers.adopt(main.start, main.end, &[0; 64]);
    let mut code = known_code();
    code.retain(|address| (main.start..main.end).contains(address));
    let far = survive(&FRAMED, &code, 3, 50_000, true);
    assert!(far > 50, "only {far} walks got anywhere: the test tests nothing");
}

#[test]
fn a_chain_of_frames_that_goes_round_ends() {
    let (code, arena) = (known_code(), Arena::new());
    let inside = arena.low + 64;
    let bounds = StackBounds { low: arena.low, high: arena.high() };
    let mut out = [0; MAX_FRAMES];
    for &after in &code {
        let mut odd = false;
        arena.fill(|| {
            odd = !odd;
            if odd { inside } else { after }
        });
        let captured = walk(&UNWINDER, Registers { after, sp: arena.low, fp: inside, link: NO_LINK }, bounds, &mut out);
        assert!(captured.len <= MAX_FRAMES);
    }
    let own = machine::registers();
    assert!(own.sp != 0 && own.after != 0);
}
