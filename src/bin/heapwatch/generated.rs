//! What the verbs that write files share: whom the files are for, in which form, and where they go.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use heapwatch::export::rules::{Limits, RUNBOOK_URL, Rules};
use heapwatch::export::subject::Subject;
use heapwatch::{Error, Result};

/// Whom the files are for.
#[derive(Debug, Args)]
pub struct SubjectArgs {
    /// Name of the service
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Namespace of its pods
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Value of the `job` label of its series [default: the service's name]
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Label put on every alert and object; repeatable
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Further label that its series must have; repeatable
    #[arg(long = "match", value_name = "NAME=VALUE", value_parser = pair)]
    matchers: Vec<(String, String)>,
}

/// Above what alerts fire.
#[derive(Debug, Args)]
#[command(next_help_heading = "Thresholds")]
pub struct LimitArgs {
    /// Address that alerts link to; the name of the alert becomes the anchor
    #[arg(long, value_name = "URL", default_value = RUNBOOK_URL)]
    runbook_url: String,
    /// Time after a start in which growth means nothing [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    warm_up: Option<u64>,
    /// Critical share of the memory limit, 0–1 [default: 0.9]
    #[arg(long, value_name = "RATIO")]
    usage: Option<f64>,
    /// Critical resident memory, such as 900MiB [default: none]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ceiling: Option<u64>,
    /// Growth a minute that pages [default: 5MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rapid_growth: Option<u64>,
    /// Growth a minute, over an hour, that is worth a look [default: 2MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    slow_growth: Option<u64>,
    /// Growth within an hour that counts as a leak [default: 100MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    hourly_growth: Option<u64>,
    /// Least growth of half an hour without a fall [default: 10MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    monotonic_growth: Option<u64>,
    /// Growth within 5 minutes [default: 100MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    spike: Option<u64>,
    /// Growth an hour outside the live heap [default: 50MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    non_heap_growth: Option<u64>,
    /// What one request in 20 may leave behind [default: 10MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    request: Option<u64>,
    /// Requests within 5 minutes below which an endpoint is not judged [default: 10]
    #[arg(long, value_name = "N")]
    least_requests: Option<u64>,
    /// Growth an hour of what an endpoint's requests hold [default: 5MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    retained_growth: Option<u64>,
    /// Pause of an embedded collector, p95, seconds [default: 0.5]
    #[arg(long, value_name = "SECONDS")]
    gc_pause: Option<f64>,
    /// Time of a call into the allocator, p99, seconds [default: 0.001]
    #[arg(long, value_name = "SECONDS")]
    allocator_call: Option<f64>,
    /// Efficiency score of a component, 0–1 [default: 0.3]
    #[arg(long, value_name = "SCORE")]
    efficiency: Option<f64>,
    /// Time to the memory limit that pages [default: 4h]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    exhaustion_soon: Option<u64>,
    /// Time to the memory limit that is worth planning for [default: 3d]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    exhaustion_later: Option<u64>,
    /// Share of the limit in use before a forecast alerts, 0–1 [default: 0.5]
    #[arg(long, value_name = "RATIO")]
    forecast_usage: Option<f64>,
    /// Share of samples lost [default: 0.05]
    #[arg(long, value_name = "RATIO")]
    dropped: Option<f64>,
    /// Share of stacks cut [default: 0.2]
    #[arg(long, value_name = "RATIO")]
    truncated: Option<f64>,
    /// Cores that heapwatch's own thread keeps busy [default: 0.05]
    #[arg(long, value_name = "CORES")]
    recorder_cores: Option<f64>,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Yaml,
    Json,
}

impl SubjectArgs {
    pub fn subject(&self) -> Result<Subject> {
        let SubjectArgs { service, namespace, job, labels, matchers } = self;
        let (namespace, job) = (namespace.clone(), job.clone());
        Subject { service: service.clone(), namespace, job, labels: labels.clone(), matchers: matchers.clone() }
            .checked()
    }
}

impl LimitArgs {
    pub fn rules(&self, subject: &Subject) -> Result<Rules> {
        Rules::new(subject.clone(), self.limits(), &self.runbook_url)
    }

    fn limits(&self) -> Limits {
        let d = Limits::default();
        Limits {
            warm_up_s: self.warm_up.unwrap_or(d.warm_up_s),
            usage_ratio: self.usage.unwrap_or(d.usage_ratio),
            ceiling_bytes: self.ceiling.or(d.ceiling_bytes),
            rapid_bytes_per_minute: self.rapid_growth.unwrap_or(d.rapid_bytes_per_minute),
            slow_bytes_per_minute: self.slow_growth.unwrap_or(d.slow_bytes_per_minute),
            hourly_bytes: self.hourly_growth.unwrap_or(d.hourly_bytes),
            monotonic_bytes: self.monotonic_growth.unwrap_or(d.monotonic_bytes),
            spike_bytes: self.spike.unwrap_or(d.spike_bytes),
            non_heap_bytes_per_hour: self.non_heap_growth.unwrap_or(d.non_heap_bytes_per_hour),
            request_bytes: self.request.unwrap_or(d.request_bytes),
            least_requests: self.least_requests.unwrap_or(d.least_requests),
            retained_bytes_per_hour: self.retained_growth.unwrap_or(d.retained_bytes_per_hour),
            gc_pause_s: self.gc_pause.unwrap_or(d.gc_pause_s),
            allocator_call_s: self.allocator_call.unwrap_or(d.allocator_call_s),
            efficiency: self.efficiency.unwrap_or(d.efficiency),
            exhaustion_soon_s: self.exhaustion_soon.unwrap_or(d.exhaustion_soon_s),
            exhaustion_later_s: self.exhaustion_later.unwrap_or(d.exhaustion_later_s),
            forecast_usage_ratio: self.forecast_usage.unwrap_or(d.forecast_usage_ratio),
            dropped_ratio: self.dropped.unwrap_or(d.dropped_ratio),
            truncated_ratio: self.truncated.unwrap_or(d.truncated_ratio),
            recorder_cores: self.recorder_cores.unwrap_or(d.recorder_cores),
        }
    }
}

/// Writes files below a folder, each whole and renamed into place.
pub fn write_below<'a>(dir: &Path, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    files.into_iter().try_for_each(|(name, text)| write(dir.join(name), text))
}

fn write(path: PathBuf, text: &str) -> Result<()> {
    let part = path.with_extension("part");
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| fs::write(&part, text)).and_then(|()| fs::rename(&part, &path));
    written.map_err(|e| {
        // The first error is the one to report.
        let _ = fs::remove_file(&part);
        Error::cannot_write(&path.display().to_string(), e)
    })
}

pub fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "give NAME=VALUE".into())
}

fn size(text: &str) -> std::result::Result<u64, String> {
    let bytes = heapwatch::analyze::what_if::bytes(text).filter(|b| *b >= 1.0);
    bytes.map(|b| b as u64).ok_or_else(|| "give a number and a unit such as KiB, MiB or GiB".into())
}

fn seconds(text: &str) -> std::result::Result<u64, String> {
    crate::prometheus::duration(text).map(|d| d.as_secs())
}
