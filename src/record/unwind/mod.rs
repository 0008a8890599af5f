//! Walking stacks by tables of our own.
//!
//! An unwinder cannot be called from inside an allocation: the usual ones lock, allocate, or ask the dynamic linker, which may be waiting
//! for that very allocation. So the collector's thread decodes every module's `.eh_frame` beforehand, and a
//! hook only reads: the cache, then the directory of tables, then one or two words of its own stack a frame.
//!
//! Vocabulary: a *rule* leads from a frame to its caller; a *row* is a rule and where it begins; a *piece* is 64 KiB of
//! code and its rows; a *table* is a module's pieces; the *directory* is all tables.

#[cfg(any(test, target_arch = "aarch64"))]
mod aarch64;
mod arena;
mod cache;
mod frame_pointers;
mod modules;
mod refresh;
mod rows;
mod stack_memory;
mod table;
mod walk;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as machine;
#[cfg(target_arch = "x86_64")]
use x86_64 as machine;

pub(super) use refresh::{modules, refresh};
pub use stack_memory::StackBounds;
pub(super) use walk::{capture, method};

/// What hooks read. The collector's side is in `refresh`.
struct Unwinder {
    cache: cache::Cache,
    directory: table::Directory,
    frame_pointers: frame_pointers::FramePointers,
}

static UNWINDER: Unwinder = Unwinder {
    cache: cache::Cache::new(),
    directory: table::Directory::new(),
    frame_pointers: frame_pointers::FramePointers::new(),
};

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
