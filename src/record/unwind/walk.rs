//! The walk: from the hook's own frame to the outermost one, or to where it must end.
//!
//! It reads the cache, the tables and the stack it runs on, and writes only the caller's array and a cache word. Every turn of
//! the loop either adds an address or ends it, so whatever the stack holds a walk ends within `MAX_FRAMES` turns.

use super::frame_pointers::Code;
use super::machine::{self, Registers};
use super::rows::Rule;
use super::stack_memory::{StackBounds, StackMemory};
use super::table::Span;
use super::{UNWINDER, Unwinder};
use crate::record::stack::{Captured, Ended, MAX_FRAMES, Method};

/// Words looked at ahead of a walk that missed a piece.
const LOOK_AHEAD_WORDS: usize = 1024;

/// The stack above this function. Not inlined: its own frame is the one that is left out.
#[inline(never)]
pub(in crate::record) fn capture(out: &mut [usize; MAX_FRAMES], bounds: StackBounds) -> Captured {
    let registers = machine::registers();
    let framed = UNWINDER.frame_pointers.code();
    if !framed.is_empty() && UNWINDER.frame_pointers.is_check_due() {
        return UNWINDER.checked_walk(registers, framed, bounds, out);
    }
    UNWINDER.walk(registers, framed, bounds, out)
}

/// How frames of the executable are walked now.
pub(in crate::record) fn method() -> Method {
    if UNWINDER.frame_pointers.code().is_empty() { Method::Tables } else { Method::FramePointers }
}

impl Unwinder {
    /// The callers of the frame `at`, those in `framed` code found by frame pointer.
    #[inline(always)]
    pub(super) fn walk(
        &self,
        mut at: Registers,
        framed: Code,
        home: StackBounds,
        out: &mut [usize; MAX_FRAMES],
    ) -> Captured {
        let mut memory = StackMemory::new(home, at.sp);
        let mut near = Span::EMPTY;
        let (mut len, mut recovered) = (0, 0);
        let ended = loop {
            let rule = if framed.holds(at.pc) { machine::FRAME } else { self.rule(at.pc, &mut near) };
            let step = machine::step(rule, &mut at, &mut memory);
            let address = match step {
                Ok(address) => address,
                Err(Ended::Complete) => break Ended::Complete,
                Err(ended) => match self.step_otherwise(ended, framed, &mut at, &mut memory) {
                    Ok(address) => {
                        recovered += 1;
                        address
                    }
                    Err(ended) => break ended,
                },
            };
            let Some(slot) = out.get_mut(len) else { break Ended::Depth };
            *slot = address;
            len += 1;
        };
        Captured { len, truncated: ended != Ended::Complete, ended, recovered }
    }

    #[inline(always)]
    fn rule(&self, pc: usize, near: &mut Span) -> Rule {
        if let Some(rule) = self.cache.get(pc) {
            return rule;
        }
        let rule = self.directory.rule(pc, near);
        if rule != Rule::UNKNOWN {
            self.cache.put(pc, rule);
        }
        rule
    }

    /// A step for which the rule at hand failed: by the table if that was a frame pointer, by frame pointer if that was the table.
    #[cold]
    #[inline(never)]
    fn step_otherwise(
        &self,
        ended: Ended,
        framed: Code,
        at: &mut Registers,
        memory: &mut StackMemory,
    ) -> Result<usize, Ended> {
        if framed.holds(at.pc) {
            let rule = self.rule(at.pc, &mut { Span::EMPTY });
            return machine::step(rule, at, memory);
        }
        if ended == Ended::NoTable {
            self.miss_ahead(at, memory);
        }
        let mut next = *at;
        match machine::step(machine::FRAME, &mut next, memory) {
            Ok(address) if ended != Ended::LeftStack && self.directory.covers(next.pc) => {
                *at = next;
                Ok(address)
            }
            _ => Err(ended),
        }
    }

    /// Notes all code on the rest of the stack that has no table yet, so that the collector decodes it in one go; else
    /// each of its ticks would let walks get one piece further.
    fn miss_ahead(&self, at: &Registers, memory: &mut StackMemory) {
        let start = at.sp.next_multiple_of(8);
        let mut near = Span::EMPTY;
        for address in (start..memory.known_end().saturating_sub(7)).step_by(8).take(LOOK_AHEAD_WORDS) {
            // SAFETY: a multiple of 8, at or above sp, and the word's end is not above what is known to be mapped.
            let word = unsafe { memory.word(address) };
            if self.directory.covers(word) {
                self.directory.rule(word, &mut near);
            }
        }
    }

    /// A walk by frame pointers, believed only if tables lead to the same addresses.
    #[cold]
    #[inline(never)]
    fn checked_walk(&self, at: Registers, framed: Code, home: StackBounds, out: &mut [usize; MAX_FRAMES]) -> Captured {
        let mut by_frame_pointers = [0; MAX_FRAMES];
        let quick = self.walk(at, framed, home, &mut by_frame_pointers);
        let thorough = self.walk(at, Code::NONE, home, out);
        let same =
            quick.ended == thorough.ended && by_frame_pointers.iter().take(quick.len).eq(out.iter().take(thorough.len));
        if !same && thorough.ended != Ended::NoTable && thorough.recovered == 0 {
            self.frame_pointers.reject();
        }
        thorough
    }
}
