//! x86-64: how a row of `.eh_frame` becomes a rule, and how a rule leads from a frame to its caller.
//!
//! A rule is `kind:2 | (CFA - base)/8:17 | slot:10`. Slot is where the caller's rbp was saved, in words below the CFA;
//! zero says it was not. The return address is always the word below the CFA; rows that say otherwise are unsupported.
//! In a rule of kind [`FROM_SP`] or [`FROM_FP`] the offset is at least one word and the slot not below the base register, which
//! spares the walk two checks a frame.

use std::arch::asm;

use gimli::{CfaRule, EhFrame, EndianSlice, NativeEndian, RegisterRule, UnwindExpression, UnwindTableRow, X86_64};

use super::rows::{Rule, Shape};
use super::stack_memory::{StackMemory, word};
use super::walk::{Caller, Step};
use crate::record::stack::Ended;

/// Whose call frame instructions beyond the standard ones are understood.
pub(super) const VENDOR: gimli::Vendor = gimli::Vendor::Default;
/// Bits of a rule that are ever set.
pub(super) const RULE_BITS: u32 = 29;
/// Low bits that are zero in every instruction's address.
pub(super) const ADDRESS_SHIFT: u32 = 0;
/// What every function with a frame pointer obeys between its prologue and its epilogue.
pub(super) const FRAME: Rule = Rule(FROM_FP | 2 << OFFSET_AT | 2 << SLOT_AT);

const FROM_SP: u32 = 1;
const FROM_FP: u32 = 2;
/// From rbp, with something saved below it.
const FROM_FP_DEEP: u32 = 3;
/// An entry of the procedure linkage table: how far into it a second word is on the stack stands above the low byte.
const PLT: u32 = 5 << 2;
/// GCC's frames that realign the stack: the CFA itself was saved below rbp, so many words as stand above the low byte.
const REALIGNED: u32 = 6 << 2;

const OFFSET_AT: u32 = 2;
const OFFSET_BITS: u32 = 17;
const SLOT_AT: u32 = OFFSET_AT + OFFSET_BITS;
const SLOT_BITS: u32 = RULE_BITS - SLOT_AT;

type Section<'a> = EhFrame<EndianSlice<'a, NativeEndian>>;

/// What a walk knows of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// Just after the instruction that is being executed: for a caller its return address. The rule is that of the byte before.
    pub(super) after: usize,
    pub(super) sp: usize,
    pub(super) fp: usize,
    /// A return address is never anywhere but on the stack.
    pub(super) link: Link,
}

/// What is known of a return address that is not on the stack.
pub(super) type Link = ();
/// Nothing.
pub(super) const NO_LINK: Link = ();

/// Registers of the function this is inlined into.
#[inline(always)]
pub(super) fn registers() -> Registers {
    let (pc, sp, fp): (usize, usize, usize);
    // SAFETY: copies three registers; touches neither memory nor stack nor flags.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) pc, out(reg) sp, out(reg) fp,
            options(nostack, preserves_flags));
    }
    Registers { after: pc.wrapping_add(1), sp, fp, link: NO_LINK }
}

/// The step nearly all frames take: `None` where it leads nowhere, or is one of the rarer ones that [`step`] knows. Plain
/// words in and out, as a structure passed by reference would keep the walk's registers in memory.
///
/// # Safety
/// `sp` is a multiple of 8 and not above `mapped_to`, which is below 2^63; what lies between them is mapped.
#[inline(always)]
pub(super) unsafe fn step_quickly(rule: Rule, sp: usize, fp: usize, mapped_to: usize) -> Option<Caller> {
    /// Bits of no aligned address of the lower half, where user memory is.
    const WRONG: usize = 1 << 63 | 7;
    let cfa = match rule.0 & 3 {
        FROM_SP => sp.wrapping_add(offset(rule)),
        FROM_FP if fp & WRONG == 0 && fp >= sp => fp + offset(rule),
        _ => return None,
    };
    if cfa > mapped_to {
        return None;
    }
    // SAFETY: cfa is a multiple of 8 as its base and offset are; it did not wrap as the base is below 2^63; it is above sp as the
    // base is not below sp and the offset is positive; and all from sp to mapped_to is mapped.
    let address = unsafe { word(cfa - 8) };
    let fp = match saved(rule) {
        0 => fp,
        // SAFETY: as above; the slot lies between the base and the CFA.
        saved => unsafe { word(cfa - saved) },
    };
    (address != 0).then_some(Caller { address, cfa, fp })
}

/// Any step, and why it cannot be made.
#[cold]
#[inline(never)]
pub(super) fn step(rule: Rule, at: Registers, mut memory: StackMemory) -> Result<Step, Ended> {
    let base = match rule.0 & 3 {
        FROM_SP => at.sp,
        FROM_FP | FROM_FP_DEEP => at.fp,
        _ => return step_special(rule, at, memory),
    };
    let cfa = base.wrapping_add(offset(rule));
    let fp = match saved(rule) {
        0 => at.fp,
        saved => memory.checked_word(cfa.wrapping_sub(saved), at.sp)?,
    };
    climb(cfa, fp, at, memory)
}

/// From its base register to the CFA, in bytes.
#[inline(always)]
fn offset(rule: Rule) -> usize {
    (rule.0 >> OFFSET_AT & ((1 << OFFSET_BITS) - 1)) as usize * 8
}

/// From the saved rbp to the CFA, in bytes.
#[inline(always)]
fn saved(rule: Rule) -> usize {
    (rule.0 >> SLOT_AT & ((1 << SLOT_BITS) - 1)) as usize * 8
}

/// To the frame above `cfa`, with its frame pointer known.
fn climb(cfa: usize, fp: usize, at: Registers, mut memory: StackMemory) -> Result<Step, Ended> {
    match memory.checked_word(cfa.wrapping_sub(8), at.sp)? {
        0 => Err(Ended::Complete),
        address => Ok(Step { address, at: Registers { after: address, sp: cfa, fp, link: NO_LINK }, memory }),
    }
}

fn step_special(rule: Rule, at: Registers, memory: StackMemory) -> Result<Step, Ended> {
    let number = (rule.0 >> 8) as usize;
    match rule.0 & 0xff {
        PLT if at.after.wrapping_sub(1) & 15 >= number => climb(at.sp.wrapping_add(16), at.fp, at, memory),
        PLT => climb(at.sp.wrapping_add(8), at.fp, at, memory),
        REALIGNED => step_realigned(number * 8, at, memory),
        _ if rule == Rule::SIGNAL => step_signal(at, memory),
        _ => Err(rule.why_not()),
    }
}

fn step_realigned(below: usize, at: Registers, mut memory: StackMemory) -> Result<Step, Ended> {
    let cfa = memory.checked_word(at.fp.wrapping_sub(below), at.sp)?;
    let fp = memory.checked_word(at.fp, at.sp)?;
    climb(cfa, fp, at, memory)
}

/// The registers of the code a signal interrupted, from the `ucontext` that the kernel left on top of the stack.
fn step_signal(at: Registers, mut memory: StackMemory) -> Result<Step, Ended> {
    const RBP: usize = 120;
    const RSP: usize = 160;
    const RIP: usize = 168;
    let mut register = |offset| memory.checked_word(at.sp.wrapping_add(offset), at.sp);
    let (pc, sp, fp) = (register(RIP)?, register(RSP)?, register(RBP)?);
    let memory = memory.entered(sp).ok_or(Ended::LeftStack)?;
    Ok(Step { address: pc, at: Registers { after: pc.wrapping_add(1), sp, fp, link: NO_LINK }, memory })
}

/// The rule of one row.
pub(super) fn encode(row: &UnwindTableRow<usize>, section: &Section) -> Rule {
    match row.register(X86_64::RA) {
        Some(RegisterRule::Undefined) => return Rule::END,
        Some(RegisterRule::Offset(-8)) => {}
        _ => return Rule::UNSUPPORTED,
    }
    match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => from_register(*register, *offset, row),
        CfaRule::Expression(expression) => from_expression(*expression, row, section),
    }
    .unwrap_or(Rule::UNSUPPORTED)
}

fn from_register(register: gimli::Register, offset: i64, row: &UnwindTableRow<usize>) -> Option<Rule> {
    let offset = words(offset, OFFSET_BITS).filter(|&words| words > 0)?;
    let saved = match row.register(X86_64::RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => 0,
        Some(RegisterRule::Offset(below)) => words(below.checked_neg()?, SLOT_BITS).filter(|&words| words > 0)?,
        _ => return None,
    };
    let (kind, slot) = match register {
        // In an epilogue, what was saved below the stack pointer has been popped back into rbp.
        X86_64::RSP if saved > offset => (FROM_SP, 0),
        X86_64::RSP => (FROM_SP, saved),
        X86_64::RBP if saved > offset => (FROM_FP_DEEP, saved),
        X86_64::RBP => (FROM_FP, saved),
        _ => return None,
    };
    Some(Rule(kind | offset << OFFSET_AT | slot << SLOT_AT))
}

/// The two expressions compilers and linkers write: a PLT entry and a realigned frame.
fn from_expression(
    expression: UnwindExpression<usize>,
    row: &UnwindTableRow<usize>,
    section: &Section,
) -> Option<Rule> {
    let bytes = expression.get(section).ok()?.0.slice();
    match *bytes {
        // rsp + 8 + ((rip & 15 >= n) << 3), n being where the entry has pushed its second word
        [0x77, 8, 0x80, 0, 0x3f, 0x1a, n @ 0x30..=0x3f, 0x2a, 0x33, 0x24, 0x22] => {
            Some(Rule(PLT | u32::from(n - 0x30) << 8))
        }
        // *(rbp - n), with rbp saved where rbp points
        [0x76, n @ 0x40..=0x7f, 0x06] if fp_is_at_fp(row, section) => {
            Some(Rule(REALIGNED | words(0x80 - i64::from(n), OFFSET_BITS)? << 8))
        }
        _ => None,
    }
}

fn fp_is_at_fp(row: &UnwindTableRow<usize>, section: &Section) -> bool {
    let Some(RegisterRule::Expression(expression)) = row.register(X86_64::RBP) else { return false };
    expression.get(section).is_ok_and(|expression| expression.0.slice() == [0x76, 0])
}

/// `bytes` in words, if it is a whole number of them in `bits` bits.
fn words(bytes: i64, bits: u32) -> Option<u32> {
    let words = u32::try_from(bytes / 8).ok()?;
    (bytes % 8 == 0 && words < 1 << bits).then_some(words)
}

/// What a rule says about its function's use of rbp.
pub(super) fn shape(rule: Rule) -> Shape {
    const ENTRY: Rule = Rule(FROM_SP | 1 << OFFSET_AT);
    const PUSHED: Rule = Rule(FROM_SP | 2 << OFFSET_AT | 2 << SLOT_AT);
    match rule {
        FRAME => Shape::Framed,
        ENTRY => Shape::Bare,
        PUSHED => Shape::Prologue,
        Rule::END | Rule::SIGNAL | Rule::UNKNOWN => Shape::NoCaller,
        _ if rule.0 & 0xff == PLT => Shape::Bare,
        _ => Shape::Other,
    }
}
