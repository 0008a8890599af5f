//! What a watch is started with: documented defaults, validated once, together.

use std::path::PathBuf;
use std::time::Duration;

use crate::analyze::severity::Thresholds;
use crate::error::{Error, Result};

/// Settings of a watch. The builder's setters say what each costs.
#[derive(Debug, Clone)]
pub struct Config {
    pub service: String,
    pub version: String,
    pub session_id: Option<String>,
    pub labels: Vec<(String, String)>,
    pub sample_interval_bytes: u64,
    pub tick: Duration,
    pub classic_names: bool,
    pub thresholds: Thresholds,
    pub max_live_samples: usize,
    pub max_stacks: usize,
    pub max_sites: usize,
    pub max_recorder_bytes: u64,
    pub dumps: Option<Dumps>,
    #[cfg(feature = "http")]
    pub serve: Option<String>,
    #[cfg(feature = "http")]
    pub token: Option<String>,
}

/// Periodic reports into a directory.
#[derive(Debug, Clone)]
pub struct Dumps {
    pub directory: PathBuf,
    pub every: Duration,
    pub keep: usize,
}

/// The sampling interval unless set: 512 KiB, at which the recorder cannot be measured in most services.
pub const DEFAULT_INTERVAL_BYTES: u64 = 512 << 10;

impl Default for Config {
    fn default() -> Config {
        Config {
            service: program_name(),
            version: String::new(),
            session_id: None,
            labels: Vec::new(),
            sample_interval_bytes: DEFAULT_INTERVAL_BYTES,
            tick: Duration::from_secs(1),
            classic_names: true,
            thresholds: Thresholds::default(),
            max_live_samples: 1 << 18,
            max_stacks: 32_768,
            max_sites: 12_288,
            max_recorder_bytes: 1 << 30,
            dumps: None,
            #[cfg(feature = "http")]
            serve: None,
            #[cfg(feature = "http")]
            token: None,
        }
    }
}

fn program_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().map_or_else(|| "unknown".into(), |name| name.to_string_lossy().into_owned())
}

impl Config {
    /// Errors: the first setting that cannot work, by name, with what would.
    pub fn validate(&self) -> Result<()> {
        check_interval(self.sample_interval_bytes)?;
        if self.tick < Duration::from_millis(10) || self.tick > Duration::from_secs(3600) {
            return Err(Error::config(format!("tick is {:?}; it must be from 10 ms to 1 h", self.tick)));
        }
        if self.service.is_empty() {
            return Err(Error::config("service is empty; give the service's name"));
        }
        for (setting, value, least) in [
            ("max_live_samples", self.max_live_samples, 64),
            ("max_stacks", self.max_stacks, 16),
            ("max_sites", self.max_sites, 16),
        ] {
            if value < least {
                return Err(Error::config(format!("{setting} is {value}; the least is {least}")));
            }
        }
        let most = crate::record::live::CAPACITY as usize;
        if self.max_live_samples > most {
            return Err(Error::config(format!("max_live_samples is {}; the most is {most}", self.max_live_samples)));
        }
        self.check_labels()?;
        self.dumps.as_ref().map_or(Ok(()), Dumps::check)
    }

    fn check_labels(&self) -> Result<()> {
        let mut seen = Vec::new();
        for (name, _) in &self.labels {
            let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !starts || !rest || name.starts_with("__") {
                let rule = "a label's name is letters, digits and `_`, begins with no digit and not with `__`";
                return Err(Error::config(format!("label `{name}`: {rule}")));
            }
            if RESERVED_LABELS.contains(&name.as_str()) || seen.contains(&name) {
                return Err(Error::config(format!("label `{name}` is taken already; choose another name")));
            }
            seen.push(name);
        }
        Ok(())
    }
}

/// Labels that metrics of this crate carry themselves.
pub const RESERVED_LABELS: [&str; 18] = [
    "bound",
    "severity",
    "status",
    "site",
    "component",
    "operation",
    "size_category",
    "type",
    "term",
    "endpoint",
    "method",
    "call",
    "generation",
    "le",
    "quantile",
    "cause",
    "metric",
    "session_id",
];

impl Dumps {
    fn check(&self) -> Result<()> {
        if self.every < Duration::from_secs(1) {
            return Err(Error::config(format!("dump_reports: every is {:?}; the least is 1 s", self.every)));
        }
        if self.keep == 0 {
            return Err(Error::config("dump_reports: keep is 0; keep at least 1 report"));
        }
        Ok(())
    }
}

/// An interval is at least a byte and at most a terabyte.
pub fn check_interval(bytes: u64) -> Result<()> {
    if (1..=1 << 40).contains(&bytes) {
        return Ok(());
    }
    Err(Error::config(format!("sample_interval_bytes is {bytes}; it must be from 1 to 2^40 (512 KiB is the default)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_setting() {
        assert!(Config::default().validate().is_ok());
        assert!(error_of(|c| c.sample_interval_bytes = 0).contains("sample_interval_bytes"));
        assert!(error_of(|c| c.tick = Duration::ZERO).contains("tick"));
        assert!(error_of(|c| c.max_live_samples = usize::MAX).contains("max_live_samples"));
        assert!(error_of(|c| c.labels.push(("2x".into(), String::new()))).contains("`2x`"));
        assert!(error_of(|c| c.labels.push(("site".into(), String::new()))).contains("taken"));
        let dumps = Dumps { directory: "d".into(), every: Duration::from_secs(9), keep: 0 };
        assert!(error_of(|c| c.dumps = Some(dumps)).contains("keep"));
    }
}
