//! Finds the files that hold a module's names: the binary itself, and a separate debug file by build id or debug link.
//!
//! Invariant: a file whose build id differs from the code in memory is never read for names. No name is better than a
//! wrong one.

use std::path::{Path, PathBuf};

use super::image::Image;
use crate::record::stack::Module;

/// Where distributions and debuggers keep separate debug files.
const DEBUG_ROOT: &str = "/usr/lib/debug";

/// The files of one module.
pub(super) struct Files {
    /// Has the symbol table.
    pub(super) symbols: Image,
    /// Has the debug information, where that is another file.
    pub(super) debug: Option<Image>,
}

impl Files {
    pub(super) fn of(module: &Module) -> Option<Files> {
        let binary = open_binary(module)?;
        if binary.has_dwarf() {
            return Some(Files { symbols: binary, debug: None });
        }
        match open_debug(&binary, &module.path) {
            Some(debug) if debug.has_symbols() => Some(Files { symbols: debug, debug: None }),
            debug => Some(Files { symbols: binary, debug }),
        }
    }

    pub(super) fn dwarf(&self) -> &Image {
        self.debug.as_ref().unwrap_or(&self.symbols)
    }

    pub(super) fn are_whole(&self) -> bool {
        self.symbols.is_whole() && self.debug.as_ref().is_none_or(Image::is_whole)
    }
}

/// The program is read through `/proc/self/exe`: that is the running file even after a deploy replaced it on disk.
fn open_binary(module: &Module) -> Option<Image> {
    let running = module.is_main.then(|| Path::new("/proc/self/exe"));
    let candidates = running.into_iter().chain([module.path.as_path()]);
    candidates
        .filter_map(Image::open)
        .find(|image| module.build_id.is_empty() || image.build_id().as_deref() == Some(&*module.build_id))
}

fn open_debug(binary: &Image, path: &Path) -> Option<Image> {
    let build_id = binary.build_id();
    let linked = binary.debug_link();
    let by_id = build_id.as_deref().and_then(by_build_id);
    let by_link = linked.iter().flat_map(|name| by_debug_link(path, name));
    by_id.into_iter().chain(by_link).filter_map(|path| Image::open(&path)).find(|debug| match &build_id {
        Some(_) => debug.build_id() == build_id,
        None => true,
    })
}

fn by_build_id(id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = id.split_first()?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Path::new(DEBUG_ROOT).join(".build-id").join(format!("{first:02x}")).join(format!("{rest}.debug")))
}

fn by_debug_link(path: &Path, name: &str) -> Vec<PathBuf> {
    let Some(directory) = path.parent() else { return Vec::new() };
    let below_root = directory.strip_prefix("/").unwrap_or(directory);
    vec![directory.join(name), directory.join(".debug").join(name), Path::new(DEBUG_ROOT).join(below_root).join(name)]
}
