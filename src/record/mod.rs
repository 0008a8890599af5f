//! Stage 1, inside malloc, on the application's threads: count exactly, sample fairly, take the stack, say when it is freed.
//!
//! Vocabulary: a *sample* is one allocation that was picked; its *slot* is its record in the live table; its *weight* is what
//! it stands for; the *page map* tells the sampled from the other blocks that begin on a page; an *internal* thread is one of
//! the recorder's own. Nothing here locks, allocates, blocks, formats or panics on an application thread: where something
//! runs out, the sample is lost, counted by cause, and the allocation goes through.

#![allow(clippy::new_without_default, reason = "made in statics, where Default is of no use")]

pub mod allocator;
pub mod control;
#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod elsewhere;
pub mod event;
mod index_stack;
pub mod live;
pub mod map;
mod node;
pub mod page_map;
pub mod ring;
pub mod sampler;
pub mod scope;
pub mod stack;
pub mod sync;
pub mod thread;
#[cfg(all(target_os = "linux", target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod unwind;
