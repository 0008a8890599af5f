//! Where the command line's series come from.

#[cfg(feature = "cli")]
pub mod csv;
