//! The leak verdict on a running process: which call sites retain more and more, how sure that is, when the limit is hit.
//!
//! A site leaks when what it retains grows more than sampling noise, load and warm-up explain, *and* what it allocated long ago is
//! still alive. [`retained`] says what a site retains, [`growth`] tests it, [`site`] weighs the answers into a confidence,
//! [`process`] puts the sites together. "Too little is known" is an answer and gives no finding.

pub mod growth;
pub mod process;
pub mod retained;
pub mod single;
pub mod site;
pub mod words;

pub use process::{Verdict, verdict};
pub use site::SiteFinding;

/// How much a level has risen since a time: its value now less the last one known at that time (0 before the first).
pub fn growth_since(times_s: &[f64], values: &[f64], now: f64, since_s: f64) -> f64 {
    let known = times_s.partition_point(|t| *t <= since_s);
    now - known.checked_sub(1).and_then(|i| values.get(i)).copied().unwrap_or(0.0)
}
