//! Stage 5: renders what the other stages have found, and computes nothing.

pub mod capacity_report;
pub mod collapsed;
pub mod dump;
#[cfg(feature = "flamegraph")]
pub mod flamegraph;
#[cfg(feature = "http")]
pub mod http;
pub mod json;
pub mod pprof;
pub mod prometheus;
pub mod report;
pub mod sizing_report;
#[cfg(feature = "cli")]
pub mod sizing_yaml;

/// Which sample type of a profile stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileKind {
    /// What is alive.
    Heap,
    /// Everything ever allocated.
    Allocs,
}
