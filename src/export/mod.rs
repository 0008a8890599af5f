//! Stage 5: renders what the other stages have found, and computes nothing.

pub mod capacity_report;
pub mod collapsed;
#[cfg(feature = "cli")]
pub mod dashboard;
pub mod dump;
#[cfg(feature = "flamegraph")]
pub mod flamegraph;
#[cfg(feature = "http")]
pub mod http;
pub mod json;
#[cfg(feature = "cli")]
pub mod manifests;
pub mod pprof;
pub mod prometheus;
pub mod report;
#[cfg(feature = "cli")]
pub mod rules;
pub mod sizing_report;
#[cfg(feature = "cli")]
pub mod sizing_yaml;
#[cfg(feature = "cli")]
pub mod subject;

/// Which sample type of a profile stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileKind {
    /// What is alive.
    Heap,
    /// Everything ever allocated.
    Allocs,
}
