//! Settings of a watch, one setter each.

use std::path::PathBuf;
use std::time::Duration;

use super::Watch;
use crate::analyze::severity::Thresholds;
use crate::config::{Config, Dumps};
use crate::error::{Error, Result};

/// Settings; see [`Watch::builder`]. They are checked together by [`start`](Builder::start).
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is watched before `start`"]
pub struct Builder {
    config: Config,
}

impl Builder {
    /// The service's name in reports and metrics. Default: the program's file name.
    pub fn service(mut self, name: impl Into<String>) -> Builder {
        self.config.service = name.into();
        self
    }

    /// The service's version in reports and metrics. Default: empty.
    pub fn version(mut self, version: impl Into<String>) -> Builder {
        self.config.version = version.into();
        self
    }

    /// An id for this run. Default: made of the time and the process id.
    pub fn session_id(mut self, id: impl Into<String>) -> Builder {
        self.config.session_id = Some(id.into());
        self
    }

    /// A constant label on every metric; may be called several times. Default: none. Each costs its bytes on every series of a
    /// scrape.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        self.config.labels.push((name.into(), value.into()));
        self
    }

    /// Mean bytes between samples, 1 to 2^40. Default 512 KiB. Half the interval doubles the samples, with them the recorder's
    /// cost (about a microsecond each) and memory, and makes errors smaller by a third.
    pub fn sample_interval_bytes(mut self, bytes: u64) -> Builder {
        self.config.sample_interval_bytes = bytes;
        self
    }

    /// How often histories get a point, 10 ms to 1 h. Default 1 s. Shorter ticks cost the collector's time in proportion, and
    /// tell apart shorter lives.
    pub fn tick(mut self, tick: Duration) -> Builder {
        self.config.tick = tick;
        self
    }

    /// Whether metrics are exported under their classic names too. Default true; false makes a scrape smaller by a third.
    pub fn classic_names(mut self, on: bool) -> Builder {
        self.config.classic_names = on;
        self
    }

    /// From which size or rate on a leak is how severe. Default [`Thresholds::default`].
    pub fn severity_thresholds(mut self, thresholds: Thresholds) -> Builder {
        self.config.thresholds = thresholds;
        self
    }

    /// Samples alive at once, 64 to about a million. Default 262,144, some 100 bytes each as they come. At the bound the interval
    /// doubles and the samples are thinned, unbiased.
    pub fn max_live_samples(mut self, count: usize) -> Builder {
        self.config.max_live_samples = count;
        self
    }

    /// Distinct stacks, at least 16. Default 32,768, some 600 bytes each as they come. At the bound idle ones go, then new
    /// ones are cut to their innermost frames.
    pub fn max_stacks(mut self, count: usize) -> Builder {
        self.config.max_stacks = count;
        self
    }

    /// Call sites with a history, at least 16. Default 12,288, from 1 KiB to 10 KiB each as they come. At the bound idle ones go, then new
    /// ones are counted together.
    pub fn max_sites(mut self, count: usize) -> Builder {
        self.config.max_sites = count;
        self
    }

    /// Address space that the recorder may map, in bytes. Default 1 GiB, of which only what is used is resident. At the bound
    /// samples are lost and counted.
    pub fn max_recorder_bytes(mut self, bytes: u64) -> Builder {
        self.config.max_recorder_bytes = bytes;
        self
    }

    /// Writes a report into `directory` every so often (1 s or more) and when the watch stops, and keeps the newest `keep`.
    /// Default: none. A report is written whole under another name and renamed; one that cannot be written is dropped, said on
    /// standard error, and harms nothing.
    pub fn dump_reports(mut self, directory: impl Into<PathBuf>, every: Duration, keep: usize) -> Builder {
        self.config.dumps = Some(Dumps { directory: directory.into(), every, keep });
        self
    }

    /// Serves the endpoints at `HOST:PORT` (feature http), on threads of their own. Default: none. Port 0 takes a free one, see
    /// [`Watch::address`]. They show code: give them a [`token`](Builder::token) before binding to more than loopback.
    #[cfg(feature = "http")]
    pub fn serve(mut self, address: impl Into<String>) -> Builder {
        self.config.serve = Some(address.into());
        self
    }

    /// What a client of the endpoints must send as bearer token. Default: none.
    #[cfg(feature = "http")]
    pub fn token(mut self, token: impl Into<String>) -> Builder {
        self.config.token = Some(token.into());
        self
    }

    /// Starts. Errors: a setting that cannot work, a port in use (`is_config`); the wrapper is not the global allocator, or a
    /// watch is running already (`is_state`); a thread cannot be started (`is_io`).
    pub fn start(self) -> Result<Watch> {
        Watch::start(self.config)
    }

    pub(super) fn from_env() -> Result<Builder> {
        let mut b = Builder::default();
        if let Some(v) = variable("SERVICE")? {
            b = b.service(v);
        }
        if let Some(v) = variable("VERSION")? {
            b = b.version(v);
        }
        for pair in variable("LABELS")?.unwrap_or_default().split(',').filter(|p| !p.is_empty()) {
            let wrong = || Error::config(format!("HEAPWATCH_LABELS: `{pair}` is not `name=value`"));
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            b = b.label(name.trim(), value.trim());
        }
        if let Some(v) = parsed("SAMPLE_INTERVAL_BYTES")? {
            b = b.sample_interval_bytes(v);
        }
        if let Some(v) = parsed("TICK_MS")? {
            b = b.tick(Duration::from_millis(v));
        }
        if let Some(v) = parsed("CLASSIC_NAMES")? {
            b = b.classic_names(v);
        }
        if let Some(directory) = variable("DUMP_DIR")? {
            let every = Duration::from_secs(parsed("DUMP_EVERY_S")?.unwrap_or(60));
            b = b.dump_reports(directory, every, parsed("DUMP_KEEP")?.unwrap_or(10));
        }
        b.endpoints_from_env()
    }

    #[cfg(feature = "http")]
    fn endpoints_from_env(mut self) -> Result<Builder> {
        self.config.serve = variable("SERVE")?;
        self.config.token = variable("TOKEN")?;
        Ok(self)
    }

    #[cfg(not(feature = "http"))]
    fn endpoints_from_env(self) -> Result<Builder> {
        if variable("SERVE")?.is_some() {
            return Err(Error::unsupported(
                "HEAPWATCH_SERVE is set, but the program is built without the feature `http`",
            ));
        }
        Ok(self)
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Result<Option<String>> {
    let name = format!("HEAPWATCH_{name}");
    match std::env::var(&name) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
        Err(e) => Err(Error::config(format!("{name} cannot be read")).because(e)),
    }
}

fn parsed<T: std::str::FromStr>(name: &str) -> Result<Option<T>> {
    let Some(text) = variable(name)? else { return Ok(None) };
    let wanted = std::any::type_name::<T>();
    let wrong = |_| Error::config(format!("HEAPWATCH_{name} is `{text}`, which is no {wanted}"));
    text.trim().parse().map(Some).map_err(wrong)
}
