//! The same work over different allocators and recorders, to tell what each recorder costs.
//!
//! A *variant* is a program of `src/bin` that differs from the others by its global allocator and by what it turns on before
//! the work. A *work* is what it then does, a fixed number of *units* of it. The program `compare` runs variants in turn, as
//! processes of their own, and prints the ratios to the bare allocator. This package is apart from heapwatch's own, so that nobody who
//! depends on heapwatch ever sees the peers.

pub mod child;
pub mod clock;
pub mod dice;
pub mod ours;
pub mod work;

pub use child::{Recorder, Settings};
