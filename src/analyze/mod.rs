//! Stage 4: pure functions of series and snapshots. No clock, no file, no global.

pub mod allocation_quality;
pub mod anomaly;
pub mod capacity;
pub mod changepoint;
#[cfg(test)]
pub(crate) mod dice;
pub mod forecast;
pub mod heap;
pub mod leak;
pub mod resample;
pub mod season;
pub mod series;
pub mod severity;
pub mod sizing;
pub mod time;
pub mod trend;
pub mod what_if;
