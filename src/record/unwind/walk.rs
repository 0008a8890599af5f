//! The walk: from the hook's own frame to the outermost one, or to where it must end.
//!
//! It reads the cache, the tables and the stack it runs on, and writes only the caller's array and a cache word. Every turn of
//! the loop either adds an address or ends it, so whatever the stack holds a walk ends within `MAX_FRAMES` turns.

use super::frame_pointers::Code;
use super::machine::{self, NO_LINK, Registers};
use super::rows::Rule;
use super::stack_memory::{StackBounds, StackMemory, word};
use super::table::Span;
use super::{UNWINDER, Unwinder};
use crate::record::stack::{Captured, Ended, MAX_FRAMES, Method};

/// Words looked at ahead of a walk that missed a piece.
const LOOK_AHEAD_WORDS: usize = 1024;

/// What a quick step leads to: the return address, where its frame begins, and its frame pointer.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    pub(super) address: usize,
    pub(super) cfa: usize,
    pub(super) fp: usize,
}

/// How a slow step was made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// As the table or the method says.
    Rule,
    /// By frame pointer, for want of a rule.
    Recovery,
}

/// A step that was made: the address it led to, the frame there, and what is now known of the stack.
pub(super) struct Step<R = Registers> {
    pub(super) address: usize,
    pub(super) at: R,
    pub(super) memory: StackMemory,
}

/// The stack above this function. Not inlined: its own frame is the one that is left out.
///
/// # Safety
/// `bounds` are those of the calling thread, or the default.
#[inline(never)]
pub(in crate::record) unsafe fn capture(out: &mut [usize; MAX_FRAMES], bounds: StackBounds) -> Captured {
    let registers = machine::registers();
    let framed = UNWINDER.frame_pointers.code();
    // SAFETY: the registers are this function's, on this thread's stack; the bounds are as the caller promises.
    unsafe {
        if framed.is_empty() {
            UNWINDER.walk::<false>(registers, framed, bounds, out)
        } else if UNWINDER.frame_pointers.is_check_due() {
            UNWINDER.walk_both_ways(registers, framed, bounds, out)
        } else {
            UNWINDER.walk::<true>(registers, framed, bounds, out)
        }
    }
}

/// How frames of the executable are walked now.
pub(in crate::record) fn method() -> Method {
    if UNWINDER.frame_pointers.code().is_empty() { Method::Tables } else { Method::FramePointers }
}

impl Unwinder {
    /// The callers of the frame `at`; `BY_FRAME_POINTERS`, those in `framed` code found that way.
    ///
    /// # Safety
    /// `bounds` are the calling thread's or the default, and if they hold `at.sp`, it is not below the thread's stack pointer.
    #[inline(always)]
    pub(super) unsafe fn walk<const BY_FRAME_POINTERS: bool>(
        &self,
        at: Registers,
        mut framed: Code,
        bounds: StackBounds,
        out: &mut [usize; MAX_FRAMES],
    ) -> Captured {
        let Some(mut memory) = StackMemory::new(bounds, at.sp) else { return Captured::nothing(Ended::LeftStack) };
        let mut near = Span::EMPTY;
        let (mut len, mut recovered) = (0, 0);
        // Plain words, so that they stay in registers: stored and loaded again they would double the time of a frame.
        let Registers { mut after, mut sp, mut fp, mut link } = at;
        let mut mapped_to = memory.mapped_to();
        let ended = loop {
            let by_frame_pointer = BY_FRAME_POINTERS && self.frame_pointers.lead_out_of(framed, after);
            let rule = if by_frame_pointer { machine::FRAME } else { self.rule(after, &mut near) };
            // SAFETY: sp is where `memory` was entered, or a caller's, which a step found between such a one and
            // `mapped_to`; `memory` vouches for what is mapped, and has refused a stack pointer that cannot be one.
            let caller = unsafe { machine::step_quickly(rule, sp, fp, mapped_to) };
            let address = if let Some(caller) = caller {
                (after, sp, fp, link) = (caller.address, caller.cfa, caller.fp, NO_LINK);
                caller.address
            } else {
                match self.step_slowly(rule, framed, Registers { after, sp, fp, link }, memory) {
                    Ok((step, by)) => {
                        recovered += usize::from(by == By::Recovery);
                        (Registers { after, sp, fp, link }, memory) = (step.at, step.memory);
                        mapped_to = memory.mapped_to();
                        if rule == Rule::SIGNAL {
                            // A signal interrupts functions anywhere, before they have set their frame up too.
                            framed = Code::NONE;
                        }
                        step.address
                    }
                    Err(ended) => break ended,
                }
            };
            let Some(slot) = out.get_mut(len) else { break Ended::Depth };
            *slot = address;
            len += 1;
        };
        Captured { len, truncated: ended != Ended::Complete || recovered > 0, ended, recovered }
    }

    #[inline(always)]
    fn rule(&self, after: usize, near: &mut Span) -> Rule {
        self.cache.get(after).unwrap_or_else(|| self.rule_of_table(after, near))
    }

    #[inline(never)]
    fn rule_of_table(&self, after: usize, near: &mut Span) -> Rule {
        let rule = self.directory.rule(after.wrapping_sub(1), near);
        if rule != Rule::UNKNOWN {
            self.cache.put(after, rule);
        }
        rule
    }

    /// The steps that are not quick: rare rules, the edge of what is mapped, and the end. What a frame pointer does not lead out of,
    /// the table may, and the other way round.
    #[cold]
    #[inline(never)]
    fn step_slowly(&self, rule: Rule, framed: Code, at: Registers, memory: StackMemory) -> Result<(Step, By), Ended> {
        let ended = match machine::step(rule, at, memory) {
            Ok(step) => return Ok((step, By::Rule)),
            Err(ended) => ended,
        };
        if self.frame_pointers.lead_out_of(framed, at.after) {
            let rule = self.rule(at.after, &mut { Span::EMPTY });
            return machine::step(rule, at, memory).map(|step| (step, By::Rule));
        }
        if ended == Ended::NoTable && self.directory.is_missing(at.after.wrapping_sub(1)) {
            self.miss_ahead(at, memory);
        }
        match machine::step(machine::FRAME, at, memory) {
            Ok(step) if ended.is_for_want_of_a_rule() && self.directory.covers(step.at.after) => {
                Ok((step, By::Recovery))
            }
            _ => Err(ended),
        }
    }

    /// Notes all code on the rest of the stack that has no table yet, so that the collector decodes it in one go; else
    /// each of its ticks would let walks get one piece further.
    fn miss_ahead(&self, at: Registers, memory: StackMemory) {
        let mut near = Span::EMPTY;
        for address in (at.sp..memory.mapped_to()).step_by(8).take(LOOK_AHEAD_WORDS) {
            // SAFETY: what is mapped begins at the stack pointer and ends at a multiple of 8, as the stack pointer is one.
            let word = unsafe { word(address) };
            if self.directory.covers(word) {
                self.directory.rule(word, &mut near);
            }
        }
    }

    /// A walk by frame pointers, believed only if tables lead to the same addresses.
    ///
    /// # Safety
    /// As for [`walk`](Self::walk).
    #[cold]
    #[inline(never)]
    unsafe fn walk_both_ways(
        &self,
        at: Registers,
        framed: Code,
        bounds: StackBounds,
        out: &mut [usize; MAX_FRAMES],
    ) -> Captured {
        let mut by_frame_pointers = [0; MAX_FRAMES];
        // SAFETY: as the caller promises.
        let (quick, thorough) = unsafe {
            let quick = self.walk::<true>(at, framed, bounds, &mut by_frame_pointers);
            (quick, self.walk::<false>(at, framed, bounds, out))
        };
        let same = by_frame_pointers.iter().take(quick.len).eq(out.iter().take(thorough.len));
        if !same && thorough.ended != Ended::NoTable && thorough.recovered == 0 {
            self.frame_pointers.reject();
        }
        thorough
    }
}
