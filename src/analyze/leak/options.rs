//! What a leak verdict may be told beforehand, and what counts as how severe.

use serde::{Deserialize, Serialize};

const MB: f64 = 1e6;

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

/// How bad a leak is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No leak.
    None,
    /// A leak below the other thresholds.
    Low,
    /// More than 10 MB, or 5 MB an hour.
    Medium,
    /// More than 50 MB, or 20 MB an hour.
    High,
    /// More than 100 MB, or 50 MB an hour.
    Critical,
}

impl Severity {
    /// The word for it, as in documents and labels.
    pub fn name(self) -> &'static str {
        match self {
            Severity::None => "none",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// The least growth (bytes) or rate (bytes per hour) of each severity above [`Severity::Low`]; either suffices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// (bytes, bytes per hour) above which a leak is critical.
    pub critical: (f64, f64),
    /// … high.
    pub high: (f64, f64),
    /// … medium.
    pub medium: (f64, f64),
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { critical: (100.0 * MB, 50.0 * MB), high: (50.0 * MB, 20.0 * MB), medium: (10.0 * MB, 5.0 * MB) }
    }
}

impl Thresholds {
    /// The severity of a leak of so many bytes so far, growing at so many bytes an hour.
    pub fn severity(&self, leaked_bytes: f64, bytes_per_hour: f64) -> Severity {
        let over = |(bytes, rate): (f64, f64)| leaked_bytes > bytes || bytes_per_hour > rate;
        match () {
            () if over(self.critical) => Severity::Critical,
            () if over(self.high) => Severity::High,
            () if over(self.medium) => Severity::Medium,
            () => Severity::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_size_or_rate_makes_a_leak_severe() {
        let t = Thresholds::default();
        assert_eq!(t.severity(100.1 * MB, 0.0), Severity::Critical);
        assert_eq!(t.severity(100.0 * MB, 0.0), Severity::High);
        assert_eq!(t.severity(0.0, 20.1 * MB), Severity::High);
        assert_eq!(t.severity(10.1 * MB, 0.0), Severity::Medium);
        assert_eq!(t.severity(0.0, 5.0 * MB), Severity::Low);
        assert!(Severity::None < Severity::Low && Severity::High < Severity::Critical);
    }
}
