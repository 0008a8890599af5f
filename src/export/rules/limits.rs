//! Above what an alert fires. The defaults are the ones of the alert table in `docs/RUNBOOK.md`.

use crate::error::{Error, Result};

const MIB: u64 = 1 << 20;
const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;

/// Thresholds of all alerts. A lower one pages earlier and more often.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Seconds after the start of a process in which growth means nothing: caches fill, pools open. Default 30 min; every
    /// alert on growth looks only at what came after.
    pub warm_up_s: u64,
    /// Share of the memory limit in use. Default 0.9.
    pub usage_ratio: f64,
    /// Resident bytes that are critical whatever the limit says. Default: none, and no such alert.
    pub ceiling_bytes: Option<u64>,
    /// Growth that will not wait for the morning, bytes a minute. Default 5 MiB.
    pub rapid_bytes_per_minute: u64,
    /// Growth worth a look, bytes a minute over an hour. Default 2 MiB.
    pub slow_bytes_per_minute: u64,
    /// Growth within an hour that is a leak until shown otherwise. Default 100 MiB.
    pub hourly_bytes: u64,
    /// Least growth of half an hour without a single fall. Default 10 MiB.
    pub monotonic_bytes: u64,
    /// Growth within 5 minutes. Default 100 MiB.
    pub spike_bytes: u64,
    /// Growth of memory outside the live heap, bytes an hour. Default 50 MiB.
    pub non_heap_bytes_per_hour: u64,
    /// Bytes that the 95th of 100 requests leaves behind. Default 10 MiB.
    pub request_bytes: u64,
    /// Requests within 5 minutes below which an endpoint is not judged. Default 10.
    pub least_requests: u64,
    /// Growth of what an endpoint's finished requests still hold, bytes an hour. Default 5 MiB.
    pub retained_bytes_per_hour: u64,
    /// Pause of an embedded collector, 95th percentile, seconds. Default 0.5.
    pub gc_pause_s: f64,
    /// Time in the allocator, 99th percentile of sampled calls, seconds. Default 0.001.
    pub allocator_call_s: f64,
    /// Efficiency score of a component's allocations. Default 0.3.
    pub efficiency: f64,
    /// Time to the memory limit that pages, seconds. Default 4 h.
    pub exhaustion_soon_s: u64,
    /// Time to the memory limit that is worth planning for, seconds. Default 3 days.
    pub exhaustion_later_s: u64,
    /// Share of the limit that must be in use before a forecast alerts. Default 0.5.
    pub forecast_usage_ratio: f64,
    /// Share of samples that the recorder loses. Default 0.05.
    pub dropped_ratio: f64,
    /// Share of stacks that end before the program's start. Default 0.2.
    pub truncated_ratio: f64,
    /// Cores that the recorder's own thread keeps busy. Default 0.05.
    pub recorder_cores: f64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            warm_up_s: 30 * MINUTE_S,
            usage_ratio: 0.9,
            ceiling_bytes: None,
            rapid_bytes_per_minute: 5 * MIB,
            slow_bytes_per_minute: 2 * MIB,
            hourly_bytes: 100 * MIB,
            monotonic_bytes: 10 * MIB,
            spike_bytes: 100 * MIB,
            non_heap_bytes_per_hour: 50 * MIB,
            request_bytes: 10 * MIB,
            least_requests: 10,
            retained_bytes_per_hour: 5 * MIB,
            gc_pause_s: 0.5,
            allocator_call_s: 0.001,
            efficiency: 0.3,
            exhaustion_soon_s: 4 * HOUR_S,
            exhaustion_later_s: 72 * HOUR_S,
            forecast_usage_ratio: 0.5,
            dropped_ratio: 0.05,
            truncated_ratio: 0.2,
            recorder_cores: 0.05,
        }
    }
}

impl Limits {
    /// The limits themselves, when each can ever be passed and none always is.
    ///
    /// # Errors
    /// A ratio outside 0–1, or a time or amount that is not positive; the message names it.
    pub fn checked(self) -> Result<Limits> {
        let ratios = [
            ("usage ratio", self.usage_ratio),
            ("efficiency", self.efficiency),
            ("forecast usage ratio", self.forecast_usage_ratio),
            ("dropped ratio", self.dropped_ratio),
            ("truncated ratio", self.truncated_ratio),
        ];
        if let Some((name, value)) = ratios.into_iter().find(|(_, r)| !(*r > 0.0 && *r < 1.0)) {
            return Err(Error::config(format!("{name} {value} must lie between 0 and 1")));
        }
        let amounts =
            [("gc pause", self.gc_pause_s), ("allocator call", self.allocator_call_s), ("cores", self.recorder_cores)];
        if let Some((name, value)) = amounts.into_iter().find(|(_, x)| !(*x > 0.0 && x.is_finite())) {
            return Err(Error::config(format!("{name} {value} must be positive")));
        }
        if self.exhaustion_later_s < self.exhaustion_soon_s {
            return Err(Error::config("the later time to exhaustion must not be shorter than the sooner one"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_nonsense_is_named() {
        let good = Limits::default();
        assert_eq!(good.clone().checked().expect("the defaults are sound"), good);
        for (bad, name) in [
            (Limits { usage_ratio: 1.5, ..good.clone() }, "usage ratio"),
            (Limits { efficiency: f64::NAN, ..good.clone() }, "efficiency"),
            (Limits { gc_pause_s: 0.0, ..good.clone() }, "gc pause"),
            (Limits { exhaustion_later_s: 1, ..good.clone() }, "exhaustion"),
        ] {
            assert!(bad.checked().is_err_and(|e| e.to_string().contains(name)), "{name}");
        }
    }
}
