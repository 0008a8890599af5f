//! Reads series from anything that answers the Prometheus query API: Prometheus, Thanos, Mimir, VictoriaMetrics.
//!
//! Long ranges are asked in chunks, a few at a time, and handed on in order of time, so memory is bounded by the chunk.
//! A chunk is whole or it is an error: a broken answer is asked again, never half used. What the server says of partial
//! data is passed on. Nothing is written to the server.

mod answer;
mod client;
mod fleet;
mod range;

pub use answer::{Answer, Labels, OneSeries};
pub use client::{Auth, Client, Server};
pub use fleet::{FleetQuery, read_fleet};
pub use range::{Range, read_range, read_series};
