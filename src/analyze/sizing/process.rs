//! The recommendation for one process, from what it knows of itself.
//!
//! A process sees what no scraper does: its peak between scrapes, its live heap, and which code leaks.

use super::workload::{Leak, Pod, Workload};
use super::{Options, Recommendation, recommend, usage::Usage};
use crate::analyze::series::Series;

/// What a process knows of itself. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Process<'a> {
    /// Name of the service.
    pub service: &'a str,
    /// Resident memory over time.
    pub rss: &'a Series,
    /// Highest resident memory since the start (`VmHWM`), when known.
    pub peak_bytes: Option<f64>,
    /// Live heap now, when known.
    pub heap_live_bytes: Option<f64>,
    /// Request from the downward API, when given.
    pub request_bytes: Option<f64>,
    /// The limit in force (smallest of cgroup ancestors), when there is one.
    pub limit_bytes: Option<f64>,
    /// The leak and its site, when one is confirmed.
    pub leak: Option<Leak>,
}

/// The recommendation, as of the last sample of `process.rss`.
pub fn recommend_process(process: &Process<'_>, options: &Options) -> Recommendation {
    let mut usage = Usage::default();
    process.rss.times_s().iter().zip(process.rss.values()).for_each(|(t, v)| usage.add(*t, *v));
    let now_s = usage.last_s().unwrap_or(0.0);
    if let Some(peak) = process.peak_bytes {
        usage.raise_peak(usage.first_s().unwrap_or(0.0), peak);
    }
    let rss = process.rss.values().last().copied();
    let overhead = process.heap_live_bytes.zip(rss).filter(|(_, rss)| *rss > 0.0);
    let mut workload = Workload {
        workload: process.service.to_owned(),
        container: process.service.to_owned(),
        pods: vec![Pod { name: process.service.to_owned(), usage }],
        request_bytes: process.request_bytes,
        limit_bytes: process.limit_bytes,
        containers_per_pod: 1,
        allocator_overhead_ratio: overhead.map(|(heap, rss)| (1.0 - heap / rss).clamp(0.0, 1.0)),
        leak: process.leak.clone(),
        ..Workload::default()
    };
    workload.find_leak();
    recommend(&workload, now_s, options)
}
