//! One opened module: turns addresses of its file into named frames, in batches.

use std::collections::HashMap;
use std::ops::Range;

use super::cache::Strings;
use super::dwarf::{Dwarf, FunctionIndex, Located, RawFrame, UnitIndex, UnitOrigin};
use super::image::{Image, Symbol};
use super::locate::Files;
use super::{names, origin, symtab};
use crate::record::stack::Module;
use crate::snapshot::{Frame, Origin};

/// A module's files and what is remembered of them.
pub(super) struct Program {
    files: Files,
    units: Units,
    /// The program's own crate: decides where there is no source file.
    main_crate: Option<String>,
}

/// An address to name: where the call returns to, and where it is in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) return_address: u64,
    /// The call's last byte, as the file counts.
    pub(super) lookup: u64,
}

/// Frames of one address, innermost first; empty where nothing is known.
pub(super) type Named = Vec<Frame>;

impl Program {
    /// Opens a module's files; `index_bytes` bounds what is remembered of its functions.
    pub(super) fn open(module: &Module, index_bytes: usize) -> Option<Program> {
        let files = Files::of(module)?;
        let index = dwarf_of(files.dwarf()).map(|dwarf| dwarf.index_units()).unwrap_or_default();
        let main_crate = main_crate(&files.symbols);
        Some(Program { files, units: Units::new(index, index_bytes), main_crate })
    }

    /// Whether the files can be read without a fault.
    pub(super) fn is_whole(&self) -> bool {
        self.files.are_whole()
    }

    /// Heap bytes of the indexes.
    pub(super) fn bytes(&self) -> usize {
        self.units.index.bytes() + self.units.function_bytes
    }

    /// Names addresses, sorted by `lookup`, unit by unit, until `work` bytes of debug information were walked; at least
    /// one unit. Answers for a prefix of `wanted`.
    pub(super) fn name(&mut self, wanted: &[Wanted], work: &mut usize, strings: &mut Strings) -> Vec<Named> {
        let lookups: Vec<u64> = wanted.iter().map(|w| w.lookup).collect();
        let symbols = symtab::names(&self.files.symbols, &lookups);
        let dwarf = dwarf_of(self.files.dwarf());
        let mut answers = Vec::with_capacity(wanted.len());
        for (unit, range) in groups(&self.units.index, &lookups) {
            if !answers.is_empty() && *work == 0 {
                break;
            }
            let addresses = lookups.get(range.clone()).unwrap_or_default();
            let found = dwarf.as_ref().zip(unit).and_then(|(dwarf, unit)| self.units.locate(dwarf, unit, addresses));
            let found = found.unwrap_or_else(|| InUnit::unknown(addresses.len()));
            *work = work.saturating_sub(found.walked_bytes);
            let namer = Namer { unit: &found.origin, main_crate: self.main_crate.as_deref() };
            let rows = wanted.iter().zip(&symbols).skip(range.start).zip(&found.located);
            answers.extend(rows.map(|((wanted, aliases), located)| namer.frames(wanted, located, aliases, strings)));
        }
        answers
    }
}

/// The units of a file, and the function indexes of those used last.
struct Units {
    index: UnitIndex,
    functions: HashMap<usize, (FunctionIndex, u64)>,
    function_bytes: usize,
    max_bytes: usize,
    clock: u64,
}

/// What a unit says of some of its addresses.
struct InUnit<'a> {
    origin: UnitOrigin,
    located: Vec<Located<'a>>,
    walked_bytes: usize,
}

impl InUnit<'_> {
    fn unknown(addresses: usize) -> InUnit<'static> {
        InUnit { origin: UnitOrigin::default(), located: vec![Located::default(); addresses], walked_bytes: 0 }
    }
}

impl Units {
    fn new(index: UnitIndex, max_bytes: usize) -> Units {
        Units { index, functions: HashMap::new(), function_bytes: 0, max_bytes, clock: 0 }
    }

    fn locate<'a>(&mut self, dwarf: &Dwarf<'a>, offset: usize, addresses: &[u64]) -> Option<InUnit<'a>> {
        let unit = dwarf.unit(offset).ok()?;
        self.clock += 1;
        if !self.functions.contains_key(&offset) {
            let functions = dwarf.index_functions(&unit);
            self.make_room(functions.bytes());
            self.function_bytes += functions.bytes();
            self.functions.insert(offset, (functions, self.clock));
        }
        let (functions, used) = self.functions.get_mut(&offset)?;
        *used = self.clock;
        let located = dwarf.locate(&self.index, &unit, functions, addresses);
        Some(InUnit { origin: dwarf.origin(&unit), located, walked_bytes: unit.header.length_including_self() })
    }

    /// Forgets the units that were not used for longest. One unit is always kept, however large.
    fn make_room(&mut self, bytes: usize) {
        while self.function_bytes + bytes > self.max_bytes {
            let oldest = self.functions.iter().min_by_key(|(_, (_, used))| *used).map(|(&offset, _)| offset);
            let Some((functions, _)) = oldest.and_then(|offset| self.functions.remove(&offset)) else { return };
            self.function_bytes -= functions.bytes();
        }
    }
}

/// Neighbours of one unit, as ranges of positions. Sorted addresses make each unit at most a few groups.
fn groups(units: &UnitIndex, lookups: &[u64]) -> Vec<(Option<usize>, Range<usize>)> {
    let mut groups: Vec<(Option<usize>, Range<usize>)> = Vec::new();
    for (position, &address) in lookups.iter().enumerate() {
        let unit = units.unit_of(address);
        match groups.last_mut() {
            Some((last, range)) if *last == unit => range.end = position + 1,
            _ => groups.push((unit, position..position + 1)),
        }
    }
    groups
}

fn dwarf_of(image: &Image) -> Option<Dwarf<'_>> {
    Dwarf::new(|section| image.section(section))
}

/// Names the frames of one unit.
struct Namer<'n> {
    unit: &'n UnitOrigin,
    main_crate: Option<&'n str>,
}

impl Namer<'_> {
    fn frames(&self, wanted: &Wanted, located: &Located<'_>, aliases: &[Symbol<'_>], strings: &mut Strings) -> Named {
        let Some((outermost, inlined)) = located.frames.split_last() else {
            let symbol =
                symtab::choose(aliases, None).map(|name| RawFrame { linkage: Some(name), ..RawFrame::default() });
            return symbol.into_iter().filter_map(|raw| self.frame(wanted, &raw, false, strings)).collect();
        };
        let linkage = outermost.linkage.or_else(|| symtab::choose(aliases, outermost.name));
        let outermost = RawFrame { linkage, ..outermost.clone() };
        let inlined = inlined.iter().map(|raw| (raw, true));
        let all = inlined.chain([(&outermost, false)]);
        all.filter_map(|(raw, inlined)| self.frame(wanted, raw, inlined, strings)).collect()
    }

    fn frame(&self, wanted: &Wanted, raw: &RawFrame<'_>, inlined: bool, strings: &mut Strings) -> Option<Frame> {
        let place = raw.file.as_deref().and_then(|file| origin::of_file(file, self.unit));
        let function = names::full(raw.linkage, raw.name, place.as_ref())?;
        let krate = krate(&function, raw.linkage.is_some(), place.as_ref());
        let told = origin::Told {
            function: &function,
            krate: krate.as_deref(),
            has_path: raw.linkage.is_some(),
            has_line: raw.line.is_some(),
            place: place.as_ref(),
        };
        let origin = told.origin(self.unit, self.main_crate);
        let shown = raw.file.as_deref().map(|file| match origin {
            Origin::Application => origin::relative(file, self.unit),
            _ => file,
        });
        Some(Frame {
            file: shown.map(|file| strings.intern(file)),
            function: strings.intern(&function),
            krate: krate.map(|krate| strings.intern(&krate)),
            line: raw.line,
            origin,
            inlined,
            address: wanted.return_address,
        })
    }
}

/// A plain path names its crate; of `<T as Trait>::f` the file knows better.
fn krate(function: &str, has_path: bool, place: Option<&origin::Place>) -> Option<String> {
    let by_name = || origin::crate_of_name(function).map(str::to_owned);
    let by_file = || place.and_then(|place| place.krate.clone());
    let plain_path = has_path && !function.starts_with('<');
    if plain_path { by_name().or_else(by_file) } else { by_file().or_else(by_name) }
}

/// The crate whose `main` is in the symbol table.
fn main_crate(image: &Image) -> Option<String> {
    let mut found = None;
    image.each_function(|symbol| {
        if found.is_none() && symbol.name.contains("4main") {
            let name = names::full(Some(symbol.name), None, None).unwrap_or_default();
            found = name.strip_suffix("::main").filter(|krate| !krate.contains("::")).map(str::to_owned);
        }
    });
    found
}
