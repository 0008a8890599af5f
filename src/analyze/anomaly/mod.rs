//! Streaming, causal anomaly detection: a point a row, from that row and those before it.
//!
//! Eight statistics of a row ([`statistics`]) — steps, dispersion, flatness, range, means against all history, the seasonal
//! profile ([`seasons`], [`profile`]) and the error of a learned predictor ([`predictor`]) — are each turned into a surprise by
//! the history of their own block maxima ([`tail`]). The largest surprise is the evidence; the score ([`score`]) tells news from the
//! continuation of news, and rows beyond the alarm level become anomalies ([`event`]).
//!
//! Vocabulary: a *block* is six hours or 48 rows, whichever is longer; *surprise* is −log10 of the chance of a block
//! holding such a value. Invariant: constant time (amortised), bounded memory, no clock but the rows' own, no panic on any row.
//! It does not look ahead, so the kind of an anomaly is certain only when it has ended.

mod autocorrelation;
mod clock;
mod config;
mod detector;
mod event;
mod level;
mod point;
mod predictor;
mod profile;
mod range;
pub mod report;
mod score;
mod seasons;
mod slots;
mod statistics;
mod tail;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use detector::AnomalyDetector;
pub use point::{Anomaly, Baseline, Kind, Point, SeasonSeen, Severity, Treatment};
