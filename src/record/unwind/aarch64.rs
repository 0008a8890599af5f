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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::unwind::stack_memory::StackBounds;

    const fn rule(kind: u32, offset: u32, saved: u32, fp: u32) -> Rule {
        Rule(kind | (offset / 16) << OFFSET_AT | (saved / 8) << SLOT_AT | fp << FP_AT)
    }

    /// 32 words that stand for a stack, each holding its own number plus 0x1000.
    struct Stack(Box<[usize; 32]>);

    impl Stack {
        fn new() -> Self {
            Self(Box::new(std::array::from_fn(|n| 0x1000 + n)))
        }

        fn sp(&self) -> usize {
            (self.0.as_ptr() as usize).next_multiple_of(16)
        }

        fn at(&self, fp: usize, link: usize) -> (Registers, StackMemory) {
            let bounds = StackBounds { low: self.sp(), high: self.0.as_ptr_range().end as usize };
            let memory = StackMemory::new(bounds, self.sp()).unwrap();
            (Registers { after: 0x4000, sp: self.sp(), fp, link }, memory)
        }

        fn word(&self, address: usize) -> usize {
            self.0[(address - self.0.as_ptr() as usize) / 8]
        }
    }

    /// Both ways to make a step must agree.
    fn both(rule: Rule, at: Registers, memory: StackMemory) -> Result<(usize, usize, usize), Ended> {
        let slow = step(rule, at, memory).map(|step| (step.address, step.at.sp, step.at.fp));
        // SAFETY: the stack memory of the test is mapped as it says.
        let quick = unsafe { step_quickly(rule, at.sp, at.fp, memory.mapped_to()) };
        if let Some(quick) = quick {
            assert_eq!(Ok((quick.address, quick.cfa, quick.fp)), slow);
        }
        slow
    }

    #[test]
    fn a_frame_record_at_the_top_of_a_frame() {
        let stack = Stack::new();
        let fp = stack.sp() + 64;
        let (at, memory) = stack.at(fp, 0);
        assert_eq!(both(FRAME, at, memory), Ok((stack.word(fp + 8), fp + 16, stack.word(fp))));
    }

    #[test]
    fn a_frame_record_at_the_bottom_of_a_frame() {
        let stack = Stack::new();
        let (at, memory) = stack.at(0, 0);
        let sp = stack.sp();
        let below = rule(FROM_SP, 96, 88, FP_BELOW);
        assert_eq!(both(below, at, memory), Ok((stack.word(sp + 8), sp + 96, stack.word(sp))));
        let above = rule(FROM_SP, 96, 96, FP_ABOVE);
        assert_eq!(both(above, at, memory), Ok((stack.word(sp), sp + 96, stack.word(sp + 8))));
    }

    #[test]
    fn a_leaf_returns_to_its_link_register_once() {
        let stack = Stack::new();
        let leaf = rule(FROM_SP, 0, 0, 0);
        let (at, memory) = stack.at(7, 0x00ff_1234_5678 | 0x2b << 56);
        assert_eq!(both(leaf, at, memory), Ok((0x00ff_1234_5678, stack.sp(), 7)));
        let next = step(leaf, at, memory).unwrap();
        assert_eq!(step(leaf, next.at, next.memory).err(), Some(Ended::Unsupported));
    }

    #[test]
    fn nothing_is_read_below_the_stack_pointer_or_above_the_stack() {
        let stack = Stack::new();
        let (at, memory) = stack.at(stack.sp() - 16, 0);
        assert_eq!(both(FRAME, at, memory), Err(Ended::LeftStack));
        let (at, memory) = stack.at(0, 0);
        assert_eq!(both(rule(FROM_SP, 512, 8, FP_BELOW), at, memory), Err(Ended::LeftStack));
        assert_eq!(both(rule(FROM_SP, 16, 16, FP_BELOW), at, memory), Err(Ended::LeftStack));
    }

    #[test]
    fn a_signals_frame_gives_back_all_registers() {
        let (mut words, sp) = (Box::new([0_usize; 96]), 0x6000);
        for (n, value) in [(29, 0x29), (30, 0x30), (31, sp), (32, 0x4444)] {
            words[(312 + n * 8) / 8] = value;
        }
        let range = words.as_ptr_range();
        let bounds = StackBounds { low: range.start as usize, high: range.end as usize };
        let memory = StackMemory::new(bounds, bounds.low).unwrap();
        let at = Registers { after: 0x4000, sp: bounds.low, fp: 0, link: 0 };
        let step = step(Rule::SIGNAL, at, memory).unwrap();
        assert_eq!((step.address, step.at.sp, step.at.fp, step.at.link), (0x4444, sp, 0x29, 0x30));
        assert_eq!(step.at.after, 0x4448);
    }

    /// Call frame instructions as a compiler writes them, through gimli to rules.
    fn rules_of(instructions: &[u8]) -> Vec<Rule> {
        let (cie_tail, fde_tail) =
            ([1, 0, 4, 0x78, 30, 0x0c, 31, 0], [&[0; 8][..], &[64, 0, 0, 0, 0, 0, 0, 0]].concat());
        let entry = |id: u32, parts: &[&[u8]]| {
            let mut body = [&id.to_ne_bytes()[..], &parts.concat()].concat();
            body.resize(body.len().next_multiple_of(8) + 4, 0);
            [&(body.len() as u32).to_ne_bytes()[..], &body].concat()
        };
        let cie = entry(0, &[&cie_tail]);
        let section = [&cie[..], &entry(cie.len() as u32 + 4, &[&fde_tail, instructions]), &[0; 4]].concat();
        let mut frames = EhFrame::new(&section, NativeEndian);
        frames.set_address_size(8);
        frames.set_vendor(VENDOR);
        let bases = gimli::BaseAddresses::default();
        use gimli::UnwindSection;
        let fde = frames.fde_from_offset(&bases, cie.len().into(), EhFrame::cie_from_offset).unwrap();
        let mut context = gimli::UnwindContext::new();
        let mut table = fde.rows(&frames, &bases, &mut context).unwrap();
        let mut rules = Vec::new();
        while let Some(row) = table.next_row().unwrap() {
            rules.push(encode(row, &frames));
        }
        rules
    }

    #[test]
    fn a_signed_function_with_a_frame_record_is_framed() {
        // paciasp; sub sp, 48; stp x29, x30, [sp, 32]; add x29, sp, 32
        let rules = rules_of(&[0x41, 0x2d, 0x41, 0x0e, 48, 0x42, 0x0c, 29, 16, 0x9e, 1, 0x9d, 2]);
        assert_eq!(rules, [rule(FROM_SP, 0, 0, 0), rule(FROM_SP, 0, 0, 0), rule(FROM_SP, 48, 0, 0), FRAME]);
        let shapes: Vec<_> = rules.into_iter().map(shape).collect();
        assert_eq!(shapes, [Shape::Bare, Shape::Bare, Shape::Prologue, Shape::Framed]);
    }

    #[test]
    fn what_a_rule_cannot_hold_is_unsupported() {
        // def_cfa x9, 16; x30 undefined; x29 saved far from x30
        assert_eq!(rules_of(&[0x0c, 9, 16]), [Rule::UNSUPPORTED]);
        assert_eq!(rules_of(&[0x07, 30]), [Rule::END]);
        assert_eq!(rules_of(&[0x0e, 96, 0x9e, 1, 0x9d, 9]), [Rule::UNSUPPORTED]);
        assert_eq!(Rule::UNSUPPORTED.0 >> RULE_BITS, 0);
    }
}
