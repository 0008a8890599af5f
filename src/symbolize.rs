//! Names for a profile that was taken where there were none: from a stripped binary, by the unstripped one.
//!
//! Locations without names hold an address and a mapping with a build id. The binary given must have that build id; without one
//! on either side the file's name decides. What already has names is left as it is.

use std::path::Path;

use crate::collect::symbols::{Bounds, Module, Symbolizer, module_of_file};
use crate::error::{Error, Result};
use crate::export::pprof::tables::{Functions, Strings, note_names};
use crate::export::pprof::{compressed, decode, messages};

/// A profile with more names than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbolized {
    /// Gzip profile.proto.
    pub profile: Vec<u8>,
    /// Locations that got names.
    pub named: usize,
    /// Locations that still have none: other files' code, or code that the binary has no names for.
    pub nameless: usize,
}

/// Names the locations of a profile that lie in `binary`; `name` is what errors call the profile. Errors: not a profile, not a
/// readable binary, or none of the profile's mappings is this binary (then both build ids are in the message).
pub fn symbolize(profile: &[u8], name: &str, binary: &Path) -> Result<Symbolized> {
    let mut profile = decode(profile, name)?;
    let mut symbolizer = Symbolizer::new(Bounds {
        cached_addresses: profile.location.len().saturating_mul(2),
        work_bytes: usize::MAX,
        ..Bounds::default()
    });
    let modules = modules(&profile, name, binary)?;
    let of_mapping = |id: u64| modules.iter().find(|(mapping, _)| *mapping == id).map(|(_, module)| module);
    let wanted = profile.location.iter().filter(|l| l.line.is_empty() && of_mapping(l.mapping_id).is_some());
    let addresses: Vec<u64> = wanted.map(|location| return_address(location.address)).collect();
    let only_modules: Vec<Module> = modules.iter().map(|(_, module)| module.clone()).collect();
    symbolizer.resolve_budgeted(&addresses, &only_modules, usize::MAX);

    let mut strings = Strings::of(std::mem::take(&mut profile.string_table));
    let mut functions = Functions::of(std::mem::take(&mut profile.function));
    let (mut named, mut nameless) = (0, 0);
    for location in profile.location.iter_mut().filter(|location| location.line.is_empty()) {
        if of_mapping(location.mapping_id).is_some() {
            let frames = symbolizer.resolve(return_address(location.address), &only_modules);
            let frames = frames.iter().filter(|frame| frame.has_name());
            location.line = frames.map(|frame| functions.line(frame, &mut strings)).collect();
        }
        *(if location.line.is_empty() { &mut nameless } else { &mut named }) += 1;
    }
    profile.string_table = strings.into_table();
    profile.function = functions.into_table();
    note_names(&mut profile);
    Ok(Symbolized { profile: compressed(&profile), named, nameless })
}

/// Profiles hold an address of the call, the symboliser asks for where it returns to.
fn return_address(address: u64) -> u64 {
    address.saturating_add(1)
}

/// The mappings that are this binary, by id.
fn modules(profile: &messages::Profile, name: &str, binary: &Path) -> Result<Vec<(u64, Module)>> {
    let mut found = Vec::new();
    let text = |index: i64| usize::try_from(index).ok().and_then(|i| profile.string_table.get(i)).map_or("", |s| s);
    for mapping in &profile.mapping {
        let module = module_of_file(binary, mapping.memory_start, mapping.memory_limit, mapping.file_offset)?;
        if is_same(text(mapping.build_id), text(mapping.filename), &module) {
            found.push((mapping.id, module));
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let own = module_of_file(binary, 0, 0, 0)?.build_id;
    let described = profile.mapping.iter().map(|m| format!("{} {}", text(m.filename), text(m.build_id)));
    Err(Error::input(format!(
        "{} (build id {}) is not in {name}, which has {}",
        binary.display(),
        if own.is_empty() { "none".to_owned() } else { hex(&own) },
        described.collect::<Vec<_>>().join(", "),
    )))
}

fn is_same(build_id: &str, path: &str, module: &Module) -> bool {
    if build_id.is_empty() || module.build_id.is_empty() {
        return Path::new(path).file_name() == module.path.file_name();
    }
    build_id.eq_ignore_ascii_case(&hex(&module.build_id))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
