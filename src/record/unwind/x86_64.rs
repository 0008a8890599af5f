//! x86-64: how a row of `.eh_frame` becomes a rule, and how a rule leads from a frame to its caller.
//!
//! A rule is `kind:2 | (CFA - base)/8:17 | slot:10`. Slot is where the caller's rbp was saved, in words below the CFA;
//! zero says it was not. The return address is always the word below the CFA; rows that say otherwise are unsupported.

use std::arch::asm;

use gimli::{CfaRule, EhFrame, EndianSlice, NativeEndian, RegisterRule, UnwindExpression, UnwindTableRow, X86_64};

use super::rows::{Rule, Shape};
use super::stack_memory::StackMemory;
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
/// GCC's frames that realign the stack: the CFA itself was saved below rbp.
const REALIGNED: u32 = 3;
const PLT: u32 = 5 << 2;

const OFFSET_AT: u32 = 2;
const OFFSET_BITS: u32 = 17;
const SLOT_AT: u32 = OFFSET_AT + OFFSET_BITS;
const SLOT_BITS: u32 = RULE_BITS - SLOT_AT;

type Section<'a> = EhFrame<EndianSlice<'a, NativeEndian>>;

/// What a walk knows of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// An address inside the instruction being executed (for a caller: inside its call).
    pub(super) pc: usize,
    pub(super) sp: usize,
    pub(super) fp: usize,
}

/// Registers of the function this is inlined into.
#[inline(always)]
pub(super) fn registers() -> Registers {
    let (pc, sp, fp): (usize, usize, usize);
    // SAFETY: copies three registers; touches neither memory nor stack nor flags.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp", out(reg) pc, out(reg) sp, out(reg) fp,
            options(nostack, preserves_flags));
    }
    Registers { pc, sp, fp }
}

/// One step up: the return address, with `at` moved to the caller.
#[inline(always)]
pub(super) fn step(rule: Rule, at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    let base = match rule.0 & 3 {
        FROM_SP => at.sp,
        FROM_FP => at.fp,
        _ => return step_special(rule, at, memory),
    };
    let offset = (rule.0 >> OFFSET_AT & ((1 << OFFSET_BITS) - 1)) as usize * 8;
    let saved = (rule.0 >> SLOT_AT) as usize * 8;
    climb(base.wrapping_add(offset), saved, at, memory)
}

/// To the frame above `cfa`, whose rbp is `saved` bytes below it.
#[inline(always)]
fn climb(cfa: usize, saved: usize, at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    let height = cfa.wrapping_sub(at.sp);
    if (height as isize) < 8 || saved > height || cfa & 7 != 0 || !memory.reaches(cfa) {
        return Err(Ended::LeftStack);
    }
    // SAFETY: cfa is a multiple of 8, at least 8 above sp, and memory reaches it.
    let caller = unsafe { memory.word(cfa - 8) };
    if saved != 0 {
        // SAFETY: sp <= cfa - saved < cfa, both multiples of 8, and memory reaches cfa.
        at.fp = unsafe { memory.word(cfa - saved) };
    }
    if caller == 0 {
        return Err(Ended::Complete);
    }
    at.sp = cfa;
    at.pc = caller - 1;
    Ok(caller)
}

#[cold]
#[inline(never)]
fn step_special(rule: Rule, at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    if rule.0 & 3 == REALIGNED {
        return step_realigned(rule, at, memory);
    }
    if rule == Rule::SIGNAL {
        return step_signal(at, memory);
    }
    if rule.0 & 0xff == PLT {
        let pushed = at.pc & 15 >= (rule.0 >> 8) as usize;
        return climb(at.sp.wrapping_add(if pushed { 16 } else { 8 }), 0, at, memory);
    }
    Err(rule.why_not())
}

fn step_realigned(rule: Rule, at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    let below = (rule.0 >> OFFSET_AT) as usize * 8;
    let (cfa, fp) = (word_at(at.fp.wrapping_sub(below), at, memory)?, word_at(at.fp, at, memory)?);
    let caller = climb(cfa, 0, at, memory)?;
    at.fp = fp;
    Ok(caller)
}

/// The registers of the code a signal interrupted, from the `ucontext` that the kernel left on top of the stack.
fn step_signal(at: &mut Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    const RBP: usize = 120;
    const RSP: usize = 160;
    const RIP: usize = 168;
    let context = at.sp;
    let pc = word_at(context.wrapping_add(RIP), at, memory)?;
    let sp = word_at(context.wrapping_add(RSP), at, memory)?;
    let fp = word_at(context.wrapping_add(RBP), at, memory)?;
    memory.enter(sp);
    *at = Registers { pc, sp, fp };
    Ok(pc)
}

fn word_at(address: usize, at: &Registers, memory: &mut StackMemory) -> Result<usize, Ended> {
    if address < at.sp || address & 7 != 0 || !memory.reaches(address.saturating_add(8)) {
        return Err(Ended::LeftStack);
    }
    // SAFETY: a multiple of 8, not below sp, and memory reaches its end (a saturated end is not a multiple of 8 away).
    Ok(unsafe { memory.word(address) })
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
    let kind = match register {
        X86_64::RSP => FROM_SP,
        X86_64::RBP => FROM_FP,
        _ => return None,
    };
    let slot = match row.register(X86_64::RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => 0,
        Some(RegisterRule::Offset(below)) => words(below.checked_neg()?, SLOT_BITS).filter(|&slot| slot > 0)?,
        _ => return None,
    };
    Some(Rule(kind | words(offset, OFFSET_BITS)? << OFFSET_AT | slot << SLOT_AT))
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
            Some(Rule(REALIGNED | words(0x80 - i64::from(n), OFFSET_BITS)? << OFFSET_AT))
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
