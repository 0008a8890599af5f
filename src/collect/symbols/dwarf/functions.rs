//! Which function holds an address, and which functions are inlined there.

use gimli::{AttributeValue, UnitOffset};

use super::UnitRef;
use super::ranges::CodeRanges;

#[derive(Debug, Clone, Copy)]
struct FunctionRange {
    begin: u64,
    end: u64,
    die: usize,
}

/// Ranges of the functions of one unit that have machine code.
#[derive(Debug, Default)]
pub(in crate::collect::symbols) struct FunctionIndex {
    ranges: Box<[FunctionRange]>,
}

/// A call that was inlined.
#[derive(Debug, Clone, Copy)]
pub(super) struct InlinedCall {
    /// The inlined function.
    pub(super) die: usize,
    /// Where it was called from: index into the unit's file table.
    pub(super) file: Option<u64>,
    pub(super) line: Option<u32>,
}

/// The function at an address and the calls inlined there, outermost first.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) function: Option<usize>,
    pub(super) inlined: Vec<InlinedCall>,
}

impl FunctionIndex {
    pub(super) fn build(unit: UnitRef<'_, '_>) -> FunctionIndex {
        let mut ranges = Vec::new();
        let _what_was_read_before_an_error_still_holds = push_functions(unit, &mut ranges);
        ranges.sort_unstable_by_key(|r: &FunctionRange| r.begin);
        FunctionIndex { ranges: ranges.into() }
    }

    /// Heap bytes of the index.
    pub(in crate::collect::symbols) fn bytes(&self) -> usize {
        size_of_val(&*self.ranges)
    }

    pub(super) fn chain(&self, unit: UnitRef<'_, '_>, address: u64) -> gimli::Result<Chain> {
        let after = self.ranges.partition_point(|r| r.begin <= address);
        let function = after.checked_sub(1).and_then(|i| self.ranges.get(i)).filter(|r| address < r.end);
        let Some(function) = function else { return Ok(Chain::default()) };
        Ok(Chain { function: Some(function.die), inlined: inlined_at(unit, function.die, address)? })
    }
}

fn push_functions(unit: UnitRef<'_, '_>, ranges: &mut Vec<FunctionRange>) -> gimli::Result<()> {
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let die = entries.next_offset().0;
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        if abbreviation.tag() != gimli::DW_TAG_subprogram {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let mut code = CodeRanges::default();
        for &spec in abbreviation.attributes() {
            code.read(unit, &entries.read_attribute(spec)?)?;
        }
        code.each(unit, |begin, end| ranges.push(FunctionRange { begin, end, die }))?;
    }
    Ok(())
}

/// Descends from a function into the one inlined call after another that holds the address. Children come after their
/// parent, so the walk ends when it leaves the deepest call found.
fn inlined_at(unit: UnitRef<'_, '_>, function: usize, address: u64) -> gimli::Result<Vec<InlinedCall>> {
    let mut entries = unit.entries_raw(Some(UnitOffset(function)))?;
    let mut deepest = entries.next_depth();
    if let Some(abbreviation) = entries.read_abbreviation()? {
        entries.skip_attributes(abbreviation.attributes())?;
    }
    let mut calls = Vec::new();
    let mut skip_below: Option<isize> = None;
    while !entries.is_empty() && entries.next_depth() > deepest {
        let (die, depth) = (entries.next_offset().0, entries.next_depth());
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        let skipped = skip_below.is_some_and(|limit| depth > limit);
        if skipped || abbreviation.tag() != gimli::DW_TAG_inlined_subroutine {
            entries.skip_attributes(abbreviation.attributes())?;
            if !skipped {
                skip_below = (abbreviation.tag() == gimli::DW_TAG_subprogram).then_some(depth);
            }
            continue;
        }
        let (mut code, mut call) = (CodeRanges::default(), InlinedCall { die, file: None, line: None });
        for &spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(spec)?;
            code.read(unit, &attribute)?;
            call.read(attribute.name(), attribute.value());
        }
        if code.contains(unit, address)? {
            calls.push(call);
            (deepest, skip_below) = (depth, None);
        } else {
            skip_below = Some(depth);
        }
    }
    Ok(calls)
}

impl InlinedCall {
    fn read<R: gimli::Reader>(&mut self, name: gimli::DwAt, value: AttributeValue<R>) {
        match (name, value) {
            (gimli::DW_AT_call_file, AttributeValue::FileIndex(index)) => self.file = Some(index),
            (gimli::DW_AT_call_file, value) => self.file = value.udata_value(),
            (gimli::DW_AT_call_line, value) => {
                self.line = value.udata_value().and_then(|line| u32::try_from(line).ok()).filter(|&line| line != 0);
            }
            _ => {}
        }
    }
}
