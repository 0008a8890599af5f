//! Where the command line's series come from.

#[cfg(feature = "cli")]
pub mod csv;
#[cfg(feature = "cli")]
pub mod endpoint;
#[cfg(feature = "cli")]
pub mod prometheus_api;
#[cfg(feature = "cli")]
pub mod usage_csv;
