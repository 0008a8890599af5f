//! Names for return addresses: function, file, line, inlined calls, crate, origin. Used on the collector's thread only.
//!
//! Everything is bounded: results are cached in two generations, files are mapped (their pages are the kernel's to drop), what is
//! remembered of a file are small indexes under a budget, and a call walks only so much debug information. After some idle ticks
//! indexes and mappings are dropped.
//!
//! Invariant: a name is never guessed. A file that was replaced since (another build id) gives no names; an address
//! without any becomes `module+0x1f2c`, which `heapwatch symbolize` can name later.

mod cache;
mod dwarf;
mod image;
mod locate;
mod names;
mod origin;
mod program;
mod symtab;
pub mod types;

use std::path::Path;
use std::sync::Arc;

pub use crate::record::stack::Module;

use self::cache::{Generations, Strings};
use self::image::Image;
use self::program::{Program, Wanted};
use crate::error::{Error, Result};
use crate::snapshot::Frame;

/// What the symboliser may hold and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Addresses whose frames stay cached. Default 65,536; each costs some 100 bytes a frame, names are shared.
    pub cached_addresses: usize,
    /// Heap bytes for the function indexes of each file. Default 8 MiB; less means units are walked again more often.
    pub index_bytes: usize,
    /// Debug information that one call may walk, in bytes. Default 16 MiB; a unit that was begun is finished.
    pub work_bytes: usize,
    /// Ticks without a new address after which files and indexes are dropped. Default 30.
    pub idle_ticks: u32,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { cached_addresses: 65_536, index_bytes: 8 << 20, work_bytes: 16 << 20, idle_ticks: 30 }
    }
}

/// Turns return addresses into frames.
pub struct Symbolizer {
    bounds: Bounds,
    known: Vec<Known>,
    frames: Generations<(usize, u64), Arc<[Frame]>>,
    strings: Strings,
    ticks_since_new: u32,
}

/// A module that was asked about. `Program` is opened at the first question, and again after it was dropped.
struct Known {
    module: Module,
    state: State,
}

enum State {
    Closed,
    Open(Box<Program>),
    /// No file with this code can be read.
    Nameless,
}

/// Modules remembered; a process that maps more over its life begins anew.
const MAX_MODULES: usize = 4096;

impl Symbolizer {
    /// Opens nothing yet.
    pub fn new(bounds: Bounds) -> Symbolizer {
        let frames = Generations::new(bounds.cached_addresses);
        Symbolizer { bounds, known: Vec::new(), frames, strings: Strings::default(), ticks_since_new: 0 }
    }

    /// Frames of the call that returns to `return_address`, innermost inlined first; at least one frame. Looks names up
    /// if they are not cached, however much that walks: on a tick call [`Symbolizer::resolve_budgeted`] before.
    pub fn resolve(&mut self, return_address: u64, modules: &[Module]) -> Arc<[Frame]> {
        let Some(module) = module_of(return_address, modules) else {
            return [nameless(return_address, None)].into();
        };
        let id = self.identify(module);
        if let Some(frames) = self.frames.get(&(id, return_address)) {
            return frames;
        }
        let mut unlimited = usize::MAX;
        self.look_up(id, &[return_address], &mut unlimited);
        self.frames.get(&(id, return_address)).unwrap_or_else(|| [nameless(return_address, Some(module))].into())
    }

    /// Looks up those of `addresses` that are not cached, at most `new_addresses` of them and at most as much debug
    /// information as the bounds allow, in the order that is cheapest. Answers how many are left for the next call.
    pub fn resolve_budgeted(&mut self, addresses: &[u64], modules: &[Module], new_addresses: usize) -> usize {
        let mut missing = self.missing(addresses, modules);
        missing.sort_unstable();
        missing.dedup();
        let mut left = missing.len();
        let mut work = self.bounds.work_bytes;
        missing.truncate(new_addresses);
        for of_one_module in missing.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(id, _)) = of_one_module.first().filter(|_| work > 0) else { break };
            let addresses: Vec<u64> = of_one_module.iter().map(|&(_, address)| address).collect();
            left = left.saturating_sub(self.look_up(id, &addresses, &mut work));
        }
        left
    }

    /// Whether all of these addresses have been looked up.
    pub fn knows(&mut self, addresses: &[u64], modules: &[Module]) -> bool {
        self.missing(addresses, modules).is_empty()
    }

    /// Call once a tick: after idle ticks the files are closed and the indexes dropped.
    pub fn tick(&mut self) {
        self.ticks_since_new = self.ticks_since_new.saturating_add(1);
        if self.ticks_since_new > self.bounds.idle_ticks {
            self.close_files();
        }
    }

    /// Closes all files now; names stay cached.
    pub fn close_files(&mut self) {
        for known in &mut self.known {
            if let State::Open(_) = known.state {
                known.state = State::Closed;
            }
        }
    }

    /// Heap bytes of the indexes.
    pub fn index_bytes(&self) -> usize {
        self.known.iter().filter_map(|known| known.state.program()).map(|program| program.bytes()).sum()
    }

    fn missing(&mut self, addresses: &[u64], modules: &[Module]) -> Vec<(usize, u64)> {
        let mut missing = Vec::new();
        for &address in addresses {
            let Some(module) = module_of(address, modules) else { continue };
            let key = (self.identify(module), address);
            if !self.frames.contains(&key) {
                missing.push(key);
            }
        }
        missing
    }

    fn identify(&mut self, module: &Module) -> usize {
        if let Some(id) = self.known.iter().position(|known| known.module == *module) {
            return id;
        }
        if self.known.len() >= MAX_MODULES {
            self.known.clear();
            self.frames = Generations::new(self.bounds.cached_addresses);
        }
        self.known.push(Known { module: module.clone(), state: State::Closed });
        self.known.len() - 1
    }

    /// Names addresses of one module into the cache, sorted; answers how many it got to.
    fn look_up(&mut self, id: usize, addresses: &[u64], work: &mut usize) -> usize {
        self.ticks_since_new = 0;
        let Some(known) = self.known.get_mut(id) else { return 0 };
        let bias = known.module.bias as u64;
        let wanted = |&return_address: &u64| Wanted {
            return_address,
            lookup: return_address.wrapping_sub(1).wrapping_sub(bias),
        };
        let wanted: Vec<Wanted> = addresses.iter().map(wanted).collect();
        let named = match known.state.open(&known.module, self.bounds.index_bytes) {
            Some(program) => program.name(&wanted, work, &mut self.strings),
            None => vec![Vec::new(); wanted.len()],
        };
        let reached = named.len();
        for (wanted, mut frames) in wanted.into_iter().zip(named) {
            if frames.is_empty() {
                frames.push(nameless(wanted.return_address, Some(&known.module)));
            }
            self.frames.insert((id, wanted.return_address), frames.into());
        }
        reached
    }
}

impl State {
    fn program(&self) -> Option<&Program> {
        match self {
            State::Open(program) => Some(program),
            State::Closed | State::Nameless => None,
        }
    }

    fn open(&mut self, module: &Module, index_bytes: usize) -> Option<&mut Program> {
        let usable = match self {
            State::Open(program) => program.is_whole(),
            State::Nameless => return None,
            State::Closed => false,
        };
        if !usable {
            *self =
                Program::open(module, index_bytes).map_or(State::Nameless, |program| State::Open(Box::new(program)));
        }
        match self {
            State::Open(program) => Some(program),
            State::Closed | State::Nameless => None,
        }
    }
}

/// The module that a binary was when `file_offset` of it was mapped at `start`: for profiles of other processes. An error if the file cannot
/// be read as a binary of a 64-bit little-endian system.
pub fn module_of_file(path: &Path, start: u64, end: u64, file_offset: u64) -> Result<Module> {
    let unreadable = || Error::input(format!("{} is not a readable ELF binary", path.display()));
    let image = Image::open(path).ok_or_else(unreadable)?;
    let in_file = image.code_address(file_offset).unwrap_or(file_offset);
    let address = |address: u64| usize::try_from(address).unwrap_or(usize::MAX);
    Ok(Module {
        path: path.to_owned(),
        bias: address(start).wrapping_sub(address(in_file)),
        start: address(start),
        end: address(end),
        file_offset,
        build_id: image.build_id().unwrap_or_default().into(),
        is_main: false,
    })
}

/// The module whose code the call is in; a call can be a function's last instruction.
fn module_of(return_address: u64, modules: &[Module]) -> Option<&Module> {
    let call = usize::try_from(return_address).ok()?.checked_sub(1)?;
    modules.iter().find(|module| (module.start..module.end).contains(&call))
}

/// A frame that has an address and no name.
fn nameless(return_address: u64, module: Option<&Module>) -> Frame {
    let function = match module {
        Some(module) => format!("{}+{:#x}", file_name(module), return_address.wrapping_sub(module.bias as u64)),
        None => format!("{return_address:#x}"),
    };
    Frame { function: function.into(), address: return_address, ..Frame::default() }
}

fn file_name(module: &Module) -> String {
    module.path.file_name().map_or_else(|| "[unknown]".to_owned(), |name| name.to_string_lossy().into_owned())
}
