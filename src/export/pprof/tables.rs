//! The tables that samples point into: strings, functions, mappings, locations, each entry once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::messages::{Function, Line, Location, Mapping, Profile};
use crate::snapshot::{self, Frame};

/// Strings of a profile under construction.
pub(crate) struct Strings {
    indexes: HashMap<Arc<str>, i64>,
    table: Vec<String>,
}

impl Strings {
    pub(crate) fn new() -> Strings {
        Strings { indexes: HashMap::from([("".into(), 0)]), table: vec![String::new()] }
    }

    /// Goes on with the table of a profile that was read.
    pub(crate) fn of(table: Vec<String>) -> Strings {
        let indexes = table.iter().enumerate().rev().map(|(index, text)| (Arc::from(text.as_str()), index as i64));
        Strings { indexes: indexes.collect(), table }
    }

    pub(crate) fn index(&mut self, text: &str) -> i64 {
        if let Some(&known) = self.indexes.get(text) {
            return known;
        }
        let new = self.table.len() as i64;
        self.indexes.insert(text.into(), new);
        self.table.push(text.to_owned());
        new
    }

    pub(crate) fn into_table(self) -> Vec<String> {
        self.table
    }
}

/// Functions by name and file.
#[derive(Default)]
pub(crate) struct Functions {
    ids: HashMap<(i64, i64), u64>,
    table: Vec<Function>,
    last_id: u64,
}

impl Functions {
    /// Goes on with the functions of a profile that was read.
    pub(crate) fn of(table: Vec<Function>) -> Functions {
        let ids = table.iter().map(|f| ((f.name, f.filename), f.id)).collect();
        Functions { ids, last_id: table.iter().map(|f| f.id).max().unwrap_or(0), table }
    }

    pub(crate) fn line(&mut self, frame: &Frame, strings: &mut Strings) -> Line {
        let name = strings.index(&frame.function);
        let filename = strings.index(frame.file.as_deref().unwrap_or_default());
        if let Some(&id) = self.ids.get(&(name, filename)) {
            return line_in(id, frame);
        }
        self.last_id += 1;
        let id = self.last_id;
        self.ids.insert((name, filename), id);
        // pprof cuts the generic arguments off names that equal the system's, taking them for C++.
        self.table.push(Function { id, name, system_name: 0, filename, start_line: 0 });
        line_in(id, frame)
    }

    pub(crate) fn into_table(self) -> Vec<Function> {
        self.table
    }
}

fn line_in(function_id: u64, frame: &Frame) -> Line {
    Line { function_id, line: frame.line.map_or(0, i64::from), column: 0 }
}

/// Mappings, and which of them has an address.
struct Mappings {
    table: Vec<Mapping>,
}

impl Mappings {
    fn new(mappings: &[snapshot::Mapping], strings: &mut Strings) -> Mappings {
        let table = mappings.iter().zip(1..).map(|(mapping, id)| Mapping {
            id,
            memory_start: mapping.start,
            memory_limit: mapping.end,
            file_offset: mapping.file_offset,
            filename: strings.index(&mapping.path),
            build_id: strings.index(&mapping.build_id),
            ..Mapping::default()
        });
        Mappings { table: table.collect() }
    }

    /// Id of the mapping that has an address; 0 is none.
    fn of_address(&self, address: u64) -> u64 {
        self.table.iter().find(|m| (m.memory_start..m.memory_limit).contains(&address)).map_or(0, |m| m.id)
    }
}

/// All tables of a profile.
pub(super) struct Tables {
    pub(super) strings: Strings,
    functions: Functions,
    mappings: Mappings,
    locations: Vec<Location>,
    location_ids: HashMap<(u64, Vec<Line>), u64>,
}

impl Tables {
    pub(super) fn new(mappings: &[snapshot::Mapping]) -> Tables {
        let mut strings = Strings::new();
        let mappings = Mappings::new(mappings, &mut strings);
        let (functions, locations, location_ids) = (Functions::default(), Vec::new(), HashMap::new());
        Tables { strings, functions, mappings, locations, location_ids }
    }

    /// Location ids of a stack, leaf first: one for each return address, inlined frames being its lines.
    pub(super) fn stack(&mut self, frames: &[Frame]) -> Vec<u64> {
        let calls = frames.split_inclusive(|frame| !frame.inlined);
        calls.map(|frames| self.location(frames)).collect()
    }

    /// A frame that has no name leaves the location to be named later, by address and mapping.
    fn location(&mut self, frames: &[Frame]) -> u64 {
        // A return address is one past the call; profiles hold an address of the call itself.
        let address = frames.last().map_or(0, |frame| frame.address).saturating_sub(1);
        let named = frames.iter().filter(|frame| frame.has_name());
        let lines: Vec<Line> = named.map(|frame| self.functions.line(frame, &mut self.strings)).collect();
        let new = self.locations.len() as u64 + 1;
        let key = (address, lines);
        if let Some(&known) = self.location_ids.get(&key) {
            return known;
        }
        self.location_ids.insert(key.clone(), new);
        let mapping_id = self.mappings.of_address(address);
        self.locations.push(Location { id: new, mapping_id, address, line: key.1, is_folded: false });
        new
    }

    pub(super) fn into_profile(self) -> Profile {
        let mut profile = Profile {
            mapping: self.mappings.table,
            location: self.locations,
            function: self.functions.into_table(),
            string_table: self.strings.into_table(),
            ..Profile::default()
        };
        note_names(&mut profile);
        profile
    }
}

/// Says of each mapping whether its locations have names. Tools name a mapping's locations only where this is unset, so one
/// location without a name unsets it.
pub(crate) fn note_names(profile: &mut Profile) {
    let nameless: HashSet<u64> =
        profile.location.iter().filter(|l| l.line.is_empty()).map(|location| location.mapping_id).collect();
    for mapping in &mut profile.mapping {
        let named = !nameless.contains(&mapping.id);
        mapping.has_functions = named;
        mapping.has_filenames = named;
        mapping.has_line_numbers = named;
        mapping.has_inline_frames = named;
    }
}
