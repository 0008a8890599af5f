//! Function, file, line and inlined frames of an address, read from DWARF with memory that is bounded by construction.
//!
//! A general context keeps every unit, function and line row it ever parsed; on a large binary that is hundreds of
//! megabytes in the process that is being watched. Here a lookup walks the mapped sections and keeps only two kinds of
//! plain index: where units are, and where the functions of recently used units are. Both name also what a general context
//! hides: `DW_AT_name`, which has the generic arguments, beside the linkage name, which has the path.
//!
//! Not read: split DWARF (`.dwo`), compressed sections, big-endian files. Such code gets its names from the symbol table.

mod functions;
mod lines;
mod names;
mod ranges;
mod units;

use gimli::{EndianSlice, LittleEndian};

pub(super) use functions::FunctionIndex;
pub(super) use units::UnitIndex;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type UnitRef<'u, 'a> = gimli::UnitRef<'u, Slice<'a>>;
type Unit<'a> = gimli::Unit<Slice<'a>>;

/// The sections of one file, borrowed from its mapping.
pub(super) struct Dwarf<'a> {
    sections: gimli::Dwarf<Slice<'a>>,
}

/// One frame as the debug information has it, innermost first in a list.
#[derive(Debug, Default, Clone)]
pub(super) struct RawFrame<'a> {
    /// Mangled name with the whole path; absent in `line-tables-only`.
    pub(super) linkage: Option<&'a str>,
    /// Last segment with generic arguments: `push<app::Session, alloc::alloc::Global>`.
    pub(super) name: Option<&'a str>,
    /// Source file, absolute where the debug information allows.
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// What the unit of an address says of the crate that was compiled.
#[derive(Debug, Default, Clone)]
pub(super) struct UnitOrigin {
    /// `DW_AT_comp_dir`.
    pub(super) directory: Option<String>,
    /// The crate whose code generation unit this is.
    pub(super) krate: Option<String>,
    /// The crate's root file as the compiler was given it.
    pub(super) root_file: Option<String>,
}

/// All that is known of one address.
#[derive(Debug, Default, Clone)]
pub(super) struct Located<'a> {
    /// Innermost inlined first; the last one is the function that has the machine code.
    pub(super) frames: Vec<RawFrame<'a>>,
}

impl<'a> Dwarf<'a> {
    /// Borrows the sections; `section` answers an empty slice for what is not there.
    pub(super) fn new(section: impl Fn(&str) -> &'a [u8]) -> Option<Dwarf<'a>> {
        let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(Slice::new(section(id.name()), LittleEndian));
        Some(Dwarf { sections: gimli::Dwarf::load(load).ok()? })
    }

    /// Where the units are; reads the root of each unit once.
    pub(super) fn index_units(&self) -> UnitIndex {
        UnitIndex::build(self)
    }

    /// The unit at an offset of `.debug_info`.
    pub(super) fn unit(&self, offset: usize) -> gimli::Result<Unit<'a>> {
        self.sections.unit(self.sections.unit_header(gimli::DebugInfoOffset(offset))?)
    }

    fn unit_ref<'u>(&'u self, unit: &'u Unit<'a>) -> UnitRef<'u, 'a> {
        gimli::UnitRef::new(&self.sections, unit)
    }

    /// Where the functions of a unit are.
    pub(super) fn index_functions(&self, unit: &Unit<'a>) -> FunctionIndex {
        FunctionIndex::build(self.unit_ref(unit))
    }

    /// The unit's crate, root file and directory.
    pub(super) fn origin(&self, unit: &Unit<'a>) -> UnitOrigin {
        let name = unit.name.and_then(|n| n.to_string().ok());
        let directory = unit.comp_dir.and_then(|d| d.to_string().ok()).map(str::to_owned);
        let (root_file, krate) = match name.and_then(|n| n.split_once("/@/")) {
            Some((file, codegen_unit)) => (Some(file), codegen_unit.split_once('.').map(|(krate, _)| krate)),
            None => (name, None),
        };
        UnitOrigin { directory, krate: krate.map(str::to_owned), root_file: root_file.map(str::to_owned) }
    }

    /// Looks up addresses of one unit, sorted, in one pass over its line program. The answers stand in the same order.
    pub(super) fn locate(
        &self,
        units: &UnitIndex,
        unit: &Unit<'a>,
        functions: &FunctionIndex,
        addresses: &[u64],
    ) -> Vec<Located<'a>> {
        let here = self.unit_ref(unit);
        let mut names = names::Names::new(self, units);
        let lines = lines::locate(here, addresses);
        let mut lines = lines.into_iter();
        addresses
            .iter()
            .map(|&address| {
                let line = lines.next().unwrap_or_default();
                let chain = functions.chain(here, address).unwrap_or_default();
                Located { frames: join(here, &mut names, chain, line) }
            })
            .collect()
    }
}

/// An inlined function's code is where the line table says; its caller's is where the call was.
fn join<'a>(
    unit: UnitRef<'_, 'a>,
    names: &mut names::Names<'_, 'a>,
    chain: functions::Chain,
    innermost: lines::Line,
) -> Vec<RawFrame<'a>> {
    let mut at = innermost;
    let mut frames = Vec::with_capacity(chain.inlined.len() + 1);
    let outward = chain.inlined.iter().rev();
    for call in outward {
        let (linkage, name) = names.of(unit, call.die);
        frames.push(RawFrame { linkage, name, file: lines::file(unit, at.file), line: at.line });
        at = lines::Line { file: call.file, line: call.line };
    }
    // `line-tables-only` has entries only for functions in which something is inlined; the others have lines and no name.
    let (linkage, name) = chain.function.map_or((None, None), |function| names.of(unit, function));
    frames.push(RawFrame { linkage, name, file: lines::file(unit, at.file), line: at.line });
    frames
}
