//! Stage 5: renders what the other stages have found, and computes nothing.

#[cfg(feature = "http")]
pub mod http;

/// Which sample type of a profile stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileKind {
    /// What is alive.
    Heap,
    /// Everything ever allocated.
    Allocs,
}
