//! The address ranges of a DIE, read attribute by attribute so that no entry is stored.

use gimli::{AttributeValue, RangeListsOffset};

use super::{Slice, UnitRef};

/// What a DIE says of its code. Tombstones of removed functions (address 0) hold nothing.
#[derive(Default)]
pub(super) struct CodeRanges {
    low: Option<u64>,
    high: Option<u64>,
    size: Option<u64>,
    list: Option<RangeListsOffset<usize>>,
}

impl CodeRanges {
    pub(super) fn read<'a>(
        &mut self,
        unit: UnitRef<'_, 'a>,
        attribute: &gimli::Attribute<Slice<'a>>,
    ) -> gimli::Result<()> {
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_low_pc, value) => self.low = unit.attr_address(value)?,
            (gimli::DW_AT_high_pc, AttributeValue::Udata(size)) => self.size = Some(size),
            (gimli::DW_AT_high_pc, value) => self.high = unit.attr_address(value)?,
            (gimli::DW_AT_ranges, value) => self.list = unit.attr_ranges_offset(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Calls `found` with each range that holds code.
    pub(super) fn each(&self, unit: UnitRef<'_, '_>, mut found: impl FnMut(u64, u64)) -> gimli::Result<()> {
        let mut keep = |begin: u64, end: u64| {
            if begin != 0 && begin < end {
                found(begin, end);
            }
        };
        if let Some(list) = self.list {
            let mut ranges = unit.ranges(list)?;
            while let Some(range) = ranges.next()? {
                keep(range.begin, range.end);
            }
        } else if let Some(low) = self.low {
            let end = self.size.and_then(|size| low.checked_add(size)).or(self.high);
            keep(low, end.unwrap_or(low));
        }
        Ok(())
    }

    pub(super) fn contains(&self, unit: UnitRef<'_, '_>, address: u64) -> gimli::Result<bool> {
        let mut inside = false;
        self.each(unit, |begin, end| inside |= (begin..end).contains(&address))?;
        Ok(inside)
    }
}
