//! What a leak verdict may be told beforehand.

use serde::{Deserialize, Serialize};

use crate::analyze::severity::Thresholds;

/// Settings of a leak detector; the default knows nothing beyond the series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LeakOptions {
    /// The memory limit in bytes; default none. With it a leak has a time of exhaustion. Costs nothing.
    pub limit_bytes: Option<f64>,
    /// Standard deviation of one row's sampling error in bytes; default none, the noise is then taken from the series.
    /// Growth within three of these is not called a leak. Costs nothing.
    pub noise_bytes: Option<f64>,
    /// From what growth or rate on a leak is how severe; default as in [`Thresholds::default`].
    pub thresholds: Thresholds,
}
