//! Stage 2: the collector's side of the thread boundary, sole writer of everything after it.

pub mod fold;
pub mod ledger;
pub mod process;
pub mod symbols;
