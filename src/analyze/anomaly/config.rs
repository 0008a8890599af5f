//! The one setting: how rare a row must be to raise an alarm.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Surprise that raises an alarm unless set.
const ALARM: f64 = 2.4;

/// Settings of an [`super::AnomalyDetector`]. The defaults serve every series; nothing needs to be set per series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub(super) alarm: f64,
}

impl Default for Config {
    fn default() -> Config {
        Config { alarm: ALARM }
    }
}

impl Config {
    /// Whether a saved setting is one that can be set.
    pub(super) fn is_sound(&self) -> bool {
        Config::default().alarm_surprise(self.alarm).is_ok()
    }

    /// Surprise, −log10 of the chance in a block of six hours, from which a row is an anomaly. Default 2.4. One more makes
    /// alarms about ten times as rare and misses the weaker half of gradual anomalies; one less does the opposite.
    ///
    /// # Errors
    /// Not between 1 and 12.
    pub fn alarm_surprise(mut self, surprise: f64) -> Result<Config> {
        if !(1.0..=12.0).contains(&surprise) {
            return Err(Error::config(format!("alarm surprise {surprise} is not between 1 and 12")));
        }
        self.alarm = surprise;
        Ok(self)
    }
}
