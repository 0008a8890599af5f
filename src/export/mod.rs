//! Stage 5: renders what the other stages have found, and computes nothing.

#[cfg(feature = "http")]
pub mod http;
