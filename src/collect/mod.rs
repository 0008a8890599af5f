//! Stage 2: the collector's side of the thread boundary, sole writer of everything after it.

pub mod ages;
pub mod collector;
pub mod fold;
pub mod history;
pub mod ledger;
pub mod live;
pub mod mappings;
pub mod process;
pub mod sites;
pub mod stacks;
pub mod symbols;
pub mod tallies;
pub mod weight;
