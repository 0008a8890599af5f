//! Which unit holds an address: sorted ranges, neighbours of one unit merged, so that the index stays small even
//! where every function is a section of its own.

use super::ranges::CodeRanges;
use super::{Dwarf, UnitRef};

/// Past this many ranges a file is not indexed further; code beyond gets its names from the symbol table.
const MAX_RANGES: usize = 4 << 20;

#[derive(Debug, Clone, Copy)]
struct UnitRange {
    begin: u64,
    end: u64,
    /// Offset of the unit in `.debug_info`.
    unit: usize,
}

/// Ranges of all units of a file.
#[derive(Debug, Default)]
pub(in crate::collect::symbols) struct UnitIndex {
    ranges: Box<[UnitRange]>,
    /// Offsets of all units, ascending.
    offsets: Box<[usize]>,
}

impl UnitIndex {
    pub(super) fn build(dwarf: &Dwarf<'_>) -> UnitIndex {
        let (mut ranges, mut offsets) = (Vec::new(), Vec::new());
        let mut headers = dwarf.sections.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(offset) = header.debug_info_offset() else { continue };
            offsets.push(offset.0);
            let Ok(unit) = dwarf.sections.unit(header) else { continue };
            let _unreadable_root_has_no_ranges = push_ranges(dwarf.unit_ref(&unit), offset.0, &mut ranges);
            if ranges.len() > MAX_RANGES {
                break;
            }
        }
        UnitIndex { ranges: merged(ranges).into(), offsets: offsets.into() }
    }

    /// The unit whose code an address is in.
    pub(in crate::collect::symbols) fn unit_of(&self, address: u64) -> Option<usize> {
        let after = self.ranges.partition_point(|r| r.begin <= address);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (address < range.end).then_some(range.unit)
    }

    /// The unit in whose bytes an offset of `.debug_info` lies.
    pub(super) fn containing(&self, info_offset: usize) -> Option<usize> {
        let after = self.offsets.partition_point(|&o| o <= info_offset);
        self.offsets.get(after.checked_sub(1)?).copied()
    }

    /// Heap bytes of the index.
    pub(in crate::collect::symbols) fn bytes(&self) -> usize {
        size_of_val(&*self.ranges) + size_of_val(&*self.offsets)
    }
}

fn push_ranges(unit: UnitRef<'_, '_>, offset: usize, ranges: &mut Vec<UnitRange>) -> gimli::Result<()> {
    let mut entries = unit.entries_raw(None)?;
    let Some(root) = entries.read_abbreviation()? else { return Ok(()) };
    let mut code = CodeRanges::default();
    for &spec in root.attributes() {
        code.read(unit, &entries.read_attribute(spec)?)?;
    }
    code.each(unit, |begin, end| ranges.push(UnitRange { begin, end, unit: offset }))
}

fn merged(mut ranges: Vec<UnitRange>) -> Vec<UnitRange> {
    ranges.sort_unstable_by_key(|r| (r.begin, r.end));
    ranges.dedup_by(|next, kept| {
        let same = next.unit == kept.unit;
        if same {
            kept.end = kept.end.max(next.end);
        }
        same
    });
    ranges.shrink_to_fit();
    ranges
}
