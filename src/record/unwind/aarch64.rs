//! AArch64: how a row of `.eh_frame` becomes a rule, and how a rule leads from a frame to its caller.
//!
//! A rule is `kind:2 | (CFA - base)/16:13 | return slot:13 | fp:2`. The return slot is where x30 was saved, in words
//! below the CFA; zero says that it is still in the register, which is possible only in the innermost frame and in one
//! a signal interrupted. `fp` says whether x29 was saved in the word below x30's or above it, or not at all.

#[cfg(target_arch = "aarch64")]
use std::arch::asm;

use gimli::{AArch64, CfaRule, EhFrame, EndianSlice, NativeEndian, RegisterRule, UnwindTableRow};

use super::rows::{Rule, Shape};
use super::stack_memory::{StackMemory, word};
use super::walk::{Caller, Step};
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

const INSTRUCTION_BYTES: usize = 4;

/// Above these a return address carries its authentication code, not address bits.
const ADDRESS_MASK: usize = (1 << 48) - 1;

type Section<'a> = EhFrame<EndianSlice<'a, NativeEndian>>;

/// What a walk knows of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// Just after the instruction that is being executed: for a caller its return address. The rule is that of the byte before.
    pub(super) after: usize,
    pub(super) sp: usize,
    pub(super) fp: usize,
    /// x30 where it is known to hold the return address, else 0.
    pub(super) link: Link,
}

/// What is known of a return address that is not on the stack.
pub(super) type Link = usize;
/// Nothing.
pub(super) const NO_LINK: Link = 0;

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
    Registers { after: pc.wrapping_add(INSTRUCTION_BYTES), sp, fp, link }
}

/// The step nearly all frames take: `None` where it leads nowhere, or is one of the rarer ones that [`step`] knows. Plain
/// words in and out, as a structure passed by reference would keep the walk's registers in memory.
///
/// # Safety
/// `sp` is a multiple of 8 and not above `mapped_to`, which is below 2^63; what lies between them is mapped.
#[inline(always)]
pub(super) unsafe fn step_quickly(rule: Rule, sp: usize, fp: usize, mapped_to: usize) -> Option<Caller> {
    let base = match rule.0 & 3 {
        FROM_SP => sp,
        FROM_FP => fp,
        _ => return None,
    };
    let cfa = base.wrapping_add(offset(rule));
    let (height, saved, relation) = (cfa.wrapping_sub(sp), saved(rule), rule.0 >> FP_AT);
    let deepest = if relation == FP_BELOW { saved + 8 } else { saved };
    if (height as isize) < 8 || saved == 0 || deepest > height || cfa & 7 != 0 || cfa > mapped_to {
        return None;
    }
    let slot = cfa - saved;
    // SAFETY: sp < cfa <= mapped_to without a wrap, as both are below 2^63. sp <= slot - 8 < slot < cfa for a record below, sp <= slot < slot + 8 < cfa for one above (its rule has
    // saved >= 16); all are multiples of 8, and all from sp to mapped_to is mapped.
    let (link, fp) = unsafe {
        let fp = match relation {
            FP_BELOW => word(slot - 8),
            FP_ABOVE => word(slot + 8),
            _ => fp,
        };
        (word(slot), fp)
    };
    let address = link & ADDRESS_MASK;
    (address != 0).then_some(Caller { address, cfa, fp })
}

/// Any step, and why it cannot be made.
#[cold]
#[inline(never)]
pub(super) fn step(rule: Rule, at: Registers, mut memory: StackMemory) -> Result<Step<Registers>, Ended> {
    let base = match rule.0 & 3 {
        FROM_SP => at.sp,
        FROM_FP => at.fp,
        _ if rule == Rule::SIGNAL => return step_signal(at, memory),
        _ => return Err(rule.why_not()),
    };
    let cfa = base.wrapping_add(offset(rule));
    if saved(rule) == 0 {
        return leave_leaf(cfa, at, memory);
    }
    let slot = cfa.wrapping_sub(saved(rule));
    let link = memory.checked_word(slot, at.sp)?;
    let fp = match rule.0 >> FP_AT {
        FP_BELOW => memory.checked_word(slot.wrapping_sub(8), at.sp)?,
        FP_ABOVE => memory.checked_word(slot.wrapping_add(8), at.sp)?,
        _ => at.fp,
    };
    arrive(link, cfa, fp, memory)
}

/// The return address is in x30, if x30 is known here.
fn leave_leaf(cfa: usize, at: Registers, memory: StackMemory) -> Result<Step<Registers>, Ended> {
    match at.link {
        0 => Err(Ended::Unsupported),
        _ if cfa < at.sp => Err(Ended::LeftStack),
        link => arrive(link, cfa, at.fp, memory),
    }
}

fn arrive(link: usize, cfa: usize, fp: usize, memory: StackMemory) -> Result<Step<Registers>, Ended> {
    match link & ADDRESS_MASK {
        0 => Err(Ended::Complete),
        address => Ok(Step { address, at: Registers { after: address, sp: cfa, fp, link: NO_LINK }, memory }),
    }
}

/// From its base register to the CFA, in bytes.
#[inline(always)]
fn offset(rule: Rule) -> usize {
    (rule.0 >> OFFSET_AT & ((1 << OFFSET_BITS) - 1)) as usize * 16
}

/// From the saved x30 to the CFA, in bytes.
#[inline(always)]
fn saved(rule: Rule) -> usize {
    (rule.0 >> SLOT_AT & ((1 << SLOT_BITS) - 1)) as usize * 8
}

/// The registers of the code a signal interrupted, from the frame the kernel left on top of the stack: `siginfo`,
/// then `ucontext`, whose registers x0.. begin 312 bytes up.
fn step_signal(at: Registers, mut memory: StackMemory) -> Result<Step<Registers>, Ended> {
    const X0: usize = 312;
    let mut register = |n: usize| memory.checked_word(at.sp.wrapping_add(X0 + n * 8), at.sp);
    let (fp, link, sp, pc) = (register(29)?, register(30)?, register(31)?, register(32)?);
    let memory = memory.entered(sp).ok_or(Ended::LeftStack)?;
    Ok(Step { address: pc, at: Registers { after: pc.wrapping_add(INSTRUCTION_BYTES), sp, fp, link }, memory })
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
