//! Stage 1, inside an allocation, on the application's threads: what is sampled, from where, and whether it is still alive.
//!
//! Nothing here locks, allocates, blocks or panics on an application thread. Where something runs out, the sample is
//! dropped and counted, and the allocation goes through.

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod elsewhere;
pub mod stack;
#[cfg(all(target_os = "linux", target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod unwind;
