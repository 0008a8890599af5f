//! AArch64: how a row of `.eh_frame` becomes a rule, and how a rule leads from a frame to its caller.
//!
//! A rule is `kind:2 | (CFA - base)/16:13 | return slot:13 | fp:2`. The return slot is where x30 was saved, in words
//! below the CFA; zero says that it is still in the register, which is possible only in the innermost frame and in one
//! a signal interrupted. `fp` says whether x29 was saved in the word below x30's or above it, or not at all.

#[cfg(target_arch = "aarch64")]
use std::arch::asm;

use gimli::{AArch64, CfaRule, EhFrame, EndianSlice, NativeEndian, RegisterRule, UnwindTableRow};

use super::rows::{Rule, Shape};
use super::stack_memory::StackMemory;
use crate::record::stack::Ended;

/// Whose call frame instructions beyond the standard ones are understood.
pub(super) const VENDOR: gimli::Vendor = gimli::Vendor::AArch64;
/// Bits of a rule that are ever set.
pub(super) const RULE_BITS: u32 = 30;
/// Low bits that are zero in every instruction's address.
#[cfg(target_arch = "aarch64")]
pub(super) const ADDRESS_SHIFT: u32 = 2;
/// What every function with a frame record at the top of its frame obeys.
pub(super) const FRAME: Rule = Rule(FROM_FP | 1 << OFFSET_AT | 1 << SLOT_AT | FP_BELOW << FP_AT);

const FROM_SP: u32 = 1;
const FROM_FP: u32 = 2;

const OFFSET_AT: u32 = 2;
const OFFSET_BITS: u32 = 13;
const SLOT_AT: u32 = OFFSET_AT + OFFSET_BITS;
const SLOT_BITS: u32 = 13;
const FP_AT: u32 = SLOT_AT + SLOT_BITS;
const FP_BELOW: u32 = 1;
const FP_ABOVE: u32 = 2;

const _: () = assert!(FP_AT + 2 == RULE_BITS);

/// Above these a return address carries its authentication code, not address bits.
const ADDRESS_MASK: usize = (1 << 48) - 1;

type Section<'a> = EhFrame<EndianSlice<'a, NativeEndian>>;

/// What a walk knows of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// An address inside the instruction being executed (for a caller: inside its call).
    pub(super) pc: usize,
    pub(super) sp: usize,
    pub(super) fp: usize,
    /// x30 where it is known to hold the return address, else 0.
    pub(super) link: usize,
}

/// Registers of the function this is inlined into.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) fn registers() -> Registers {
    let (pc, sp, fp, link): (usize, usize, usize, usize);
    // SAFETY: copies four registers; touches neither memory nor stack nor flags.
    unsafe {
        asm!("adr {}, .", "mov {}, sp", "mov {}, x29", "mov {}, x30",
            out(reg) pc, out(reg) sp, out(reg) fp, out(reg) link, options(nostack, preserves_flags));
    }
    Registers { pc, sp, fp, link }
}

/// One step up: the return address, with `at` moved to the caller.
#[inline(always)]
pub(super) fn step(rule: Rule, at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    let base = match rule.0 & 3 {
        FROM_SP => at.sp,
        FROM_FP => at.fp,
        _ if rule == Rule::SIGNAL => return step_signal(at, memory),
        _ => return Err(rule.why_not()),
    };
    let cfa = base.wrapping_add((rule.0 >> OFFSET_AT & ((1 << OFFSET_BITS) - 1)) as usize * 16);
    let saved = (rule.0 >> SLOT_AT & ((1 << SLOT_BITS) - 1)) as usize * 8;
    let caller = if saved == 0 { leave_leaf(cfa, at)? } else { climb(cfa, saved, rule.0 >> FP_AT, at, memory)? };
    if caller == 0 {
        return Err(Ended::Complete);
    }
    at.sp = cfa;
    at.pc = caller - 1;
    Ok(caller)
}

/// The return address is in x30, if x30 is known here.
fn leave_leaf(cfa: usize, at: &mut Registers) -> Result<usize, Ended> {
    let link = std::mem::take(&mut at.link);
    if link == 0 {
        return Err(Ended::Unsupported);
    }
    if cfa < at.sp {
        return Err(Ended::LeftStack);
    }
    Ok(link & ADDRESS_MASK)
}

/// The return address is `saved` bytes below the CFA, with x29 beside it.
#[inline(always)]
fn climb(cfa: usize, saved: usize, fp: u32, at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    let height = cfa.wrapping_sub(at.sp);
    let deepest = if fp == FP_BELOW { saved + 8 } else { saved };
    if (height as isize) < 8 || deepest > height || cfa & 15 != 0 || !memory.reaches(cfa) {
        return Err(Ended::LeftStack);
    }
    let slot = cfa - saved;
    // SAFETY: sp <= slot - 8 < slot < cfa for a record below, sp <= slot < slot + 8 < cfa for one above (its rule has
    // saved >= 16); all are multiples of 8, and memory reaches cfa.
    unsafe {
        let caller = memory.word(slot);
        match fp {
            FP_BELOW => at.fp = memory.word(slot - 8),
            FP_ABOVE => at.fp = memory.word(slot + 8),
            _ => {}
        }
        at.link = 0;
        Ok(caller & ADDRESS_MASK)
    }
}

/// The registers of the code a signal interrupted, from the frame the kernel left on top of the stack: `siginfo`,
/// then `ucontext`, whose registers x0.. begin 312 bytes up.
fn step_signal(at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    const X0: usize = 312;
    let start = at.sp.wrapping_add(X0 + 29 * 8);
    let end = start.saturating_add(4 * 8);
    if start < at.sp || start & 7 != 0 || !memory.reaches(end) {
        return Err(Ended::LeftStack);
    }
    // SAFETY: x29, x30, sp and pc are four words from `start`, a multiple of 8 not below sp, and memory reaches their end.
    let [fp, link, sp, pc] = unsafe { [0, 8, 16, 24].map(|offset| memory.word(start + offset)) };
    memory.enter(sp);
    *at = Registers { pc, sp, fp, link };
    Ok(pc)
}

/// The rule of one row.
pub(super) fn encode(row: &UnwindTableRow<usize>, _section: &Section) -> Rule {
    let saved = match row.register(AArch64::X30) {
        Some(RegisterRule::Undefined) => return Rule::END,
        None | Some(RegisterRule::SameValue) => Some(0),
        Some(RegisterRule::Offset(below)) => below.checked_neg().filter(|&saved| saved > 0),
        _ => None,
    };
    let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return Rule::UNSUPPORTED };
    saved.and_then(|saved| from_register(*register, *offset, saved, row)).unwrap_or(Rule::UNSUPPORTED)
}

fn from_register(register: gimli::Register, offset: i64, saved: i64, row: &UnwindTableRow<usize>) -> Option<Rule> {
    let kind = match register {
        AArch64::SP => FROM_SP,
        AArch64::X29 => FROM_FP,
        _ => return None,
    };
    let fp = match row.register(AArch64::X29) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => 0,
        Some(RegisterRule::Offset(below)) if saved > 0 && below == -saved - 8 => FP_BELOW,
        Some(RegisterRule::Offset(below)) if saved > 8 && below == -saved + 8 => FP_ABOVE,
        _ => return None,
    };
    let offset = units(offset, 16, OFFSET_BITS)? << OFFSET_AT;
    Some(Rule(kind | offset | units(saved, 8, SLOT_BITS)? << SLOT_AT | fp << FP_AT))
}

/// `bytes` in units of `size`, if it is a whole number of them in `bits` bits.
fn units(bytes: i64, size: i64, bits: u32) -> Option<u32> {
    let units = u32::try_from(bytes / size).ok()?;
    (bytes % size == 0 && units < 1 << bits).then_some(units)
}

/// What a rule says about its function's use of x29.
pub(super) fn shape(rule: Rule) -> Shape {
    const ENTRY: Rule = Rule(FROM_SP);
    match rule {
        FRAME => Shape::Framed,
        ENTRY => Shape::Bare,
        Rule::END | Rule::SIGNAL | Rule::UNKNOWN => Shape::NoCaller,
        _ if rule.0 & 3 == FROM_SP => Shape::Prologue,
        _ => Shape::Other,
    }
}
