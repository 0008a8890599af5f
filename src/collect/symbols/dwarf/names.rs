//! Names of a DIE, following its abstract origin, into other units where link-time optimisation leads there.

use gimli::{AttributeValue, UnitOffset};

use super::{Dwarf, Slice, Unit, UnitIndex, UnitRef};

/// A chain of references longer than this is broken debug information.
const MAX_REFERENCES: usize = 16;
/// Foreign units kept parsed during one batch.
const MAX_FOREIGN_UNITS: usize = 8;

pub(super) struct Names<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    units: &'d UnitIndex,
    foreign: Vec<(usize, Unit<'a>)>,
}

/// Linkage name and plain name, as far as they are known.
type Pair<'a> = (Option<&'a str>, Option<&'a str>);

enum Reference {
    None,
    Here(usize),
    Elsewhere(usize),
}

impl<'d, 'a> Names<'d, 'a> {
    pub(super) fn new(dwarf: &'d Dwarf<'a>, units: &'d UnitIndex) -> Names<'d, 'a> {
        Names { dwarf, units, foreign: Vec::new() }
    }

    pub(super) fn of(&mut self, unit: UnitRef<'_, 'a>, die: usize) -> Pair<'a> {
        let mut names = (None, None);
        let mut next = read(unit, die, &mut names).unwrap_or(Reference::None);
        let mut foreign: Option<usize> = None;
        for _ in 0..MAX_REFERENCES {
            if let Reference::Elsewhere(offset) = next {
                let Some((index, die)) = self.foreign_die(offset) else { break };
                (foreign, next) = (Some(index), Reference::Here(die));
            }
            let Reference::Here(die) = next else { break };
            let there = foreign.and_then(|index| self.foreign.get(index));
            let unit = there.map_or(unit, |(_, unit)| self.dwarf.unit_ref(unit));
            next = read(unit, die, &mut names).unwrap_or(Reference::None);
        }
        names
    }

    /// Position in `foreign` of the unit that holds an offset of `.debug_info`, and the offset within it.
    fn foreign_die(&mut self, offset: usize) -> Option<(usize, usize)> {
        let start = self.units.containing(offset)?;
        let die = offset.checked_sub(start)?;
        if let Some(index) = self.foreign.iter().position(|(at, _)| *at == start) {
            return Some((index, die));
        }
        if self.foreign.len() >= MAX_FOREIGN_UNITS {
            self.foreign.clear();
        }
        self.foreign.push((start, self.dwarf.unit(start).ok()?));
        Some((self.foreign.len() - 1, die))
    }
}

/// Fills what `names` lacks from one DIE and says where the rest may be.
fn read<'a>(unit: UnitRef<'_, 'a>, die: usize, names: &mut Pair<'a>) -> gimli::Result<Reference> {
    let mut entries = unit.entries_raw(Some(UnitOffset(die)))?;
    let mut next = Reference::None;
    let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(next) };
    for &spec in abbreviation.attributes() {
        let attribute = entries.read_attribute(spec)?;
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name, value) if names.0.is_none() => {
                names.0 = text(unit, value);
            }
            (gimli::DW_AT_name, value) if names.1.is_none() => names.1 = text(unit, value),
            (gimli::DW_AT_abstract_origin | gimli::DW_AT_specification, AttributeValue::UnitRef(at)) => {
                next = Reference::Here(at.0);
            }
            (gimli::DW_AT_abstract_origin | gimli::DW_AT_specification, AttributeValue::DebugInfoRef(at)) => {
                next = Reference::Elsewhere(at.0);
            }
            _ => {}
        }
    }
    Ok(next)
}

fn text<'a>(unit: UnitRef<'_, 'a>, value: AttributeValue<Slice<'a>>) -> Option<&'a str> {
    std::str::from_utf8(unit.attr_string(value).ok()?.slice()).ok()
}
