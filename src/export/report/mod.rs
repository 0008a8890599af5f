//! The leak report, `heapwatch.report/1`: what is known of the process and its leaks, as one document.
//!
//! It is plain data that goes out as JSON, CSV or text and comes back from JSON, so that dumps can be read and compared.
//! Sizes are bytes, rates bytes an hour, ratios 0–1, times RFC 3339 in UTC with their epoch seconds beside them (`_s`).

mod build;
mod csv;
pub mod diff;
mod diff_text;
pub mod growth;
mod text;

use serde::{Deserialize, Serialize};

use crate::analyze::severity::{Severity, Thresholds};
use crate::error::{Error, Result};

/// The schema that this version writes and reads.
pub const SCHEMA: &str = "heapwatch.report/1";

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// When the report was made.
    pub taken_at: String,
    /// The same, epoch seconds.
    pub taken_at_s: f64,
    /// Who, and how much.
    pub process: Process,
    /// The answer.
    pub verdict: Verdict,
    /// Leaking call sites, fastest first.
    pub leaks: Vec<Leak>,
    /// Call sites by live bytes, largest first; bounded.
    pub sites: Vec<SiteLine>,
    /// Where the resident memory is.
    pub ledger: Ledger,
    /// The recorder's own health.
    pub recorder: Recorder,
}

/// Who the process is and how much memory it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct Process {
    pub pid: u32,
    pub service: String,
    pub version: String,
    pub session_id: String,
    pub started_at: String,
    pub started_at_s: f64,
    pub uptime_s: f64,
    pub labels: std::collections::BTreeMap<String, String>,
    pub heap_live_bytes: u64,
    pub heap_live_objects: u64,
    pub allocated_bytes: u64,
    pub freed_bytes: u64,
    /// Requests so far, where endpoints are scopes.
    #[serde(default)]
    pub requests: Option<u64>,
    pub rss_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub limit_bytes: Option<u64>,
    pub limit_source: Option<String>,
}

/// The answer for the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct Verdict {
    pub leak: bool,
    pub confidence: f64,
    pub rate_bytes_per_hour: f64,
    pub rate_lower: f64,
    pub rate_upper: f64,
    pub exhaustion: Option<Exhaustion>,
    pub summary: String,
}

/// When the limit is reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exhaustion {
    /// At the estimated rate. `None` where that is beyond the calendar.
    pub at: Option<String>,
    /// The same, epoch seconds.
    pub at_s: f64,
    /// At the upper end of the rate.
    pub earliest: Option<String>,
    /// The same, epoch seconds.
    pub earliest_s: f64,
    /// At the lower end; `None` if that is no growth.
    pub latest: Option<String>,
    /// The same, epoch seconds.
    pub latest_s: Option<f64>,
}

/// A frame with what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct FrameLine {
    pub function: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    #[serde(rename = "crate", default, skip_serializing_if = "Option::is_none")]
    pub krate: Option<String>,
}

/// On whose behalf memory was allocated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct ScopeLine {
    pub component: Option<String>,
    pub operation: Option<String>,
    pub endpoint: Option<String>,
    pub method: Option<String>,
}

/// What is known of a call site, verdict or not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct SiteLine {
    pub rank: usize,
    /// 16 hexadecimal digits; the same across restarts and deploys that keep the names.
    pub site_id: String,
    pub live_bytes: f64,
    /// Half the width of the 95 % interval of the sampling error.
    pub live_bytes_error: f64,
    pub live_objects: f64,
    pub allocated_bytes: f64,
    /// Samples that the live bytes rest on.
    pub live_samples: u64,
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    pub scope: ScopeLine,
    pub responsible_frame: Option<FrameLine>,
    pub allocating_frame: Option<FrameLine>,
    pub stack: Vec<FrameLine>,
}

/// A leaking call site.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct Leak {
    #[serde(flatten)]
    pub site: SiteLine,
    pub severity: String,
    pub confidence: f64,
    pub rate_bytes_per_hour: f64,
    pub rate_lower: f64,
    pub rate_upper: f64,
    pub share_of_growth: f64,
    pub onset: Option<String>,
    pub onset_s: Option<f64>,
    pub shape: String,
    pub evidence: Vec<String>,
    pub refuted_by: String,
    pub advice: String,
}

/// Where the resident memory is. See [`crate::snapshot::Ledger`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct Ledger {
    pub live_heap: u64,
    pub allocator_overhead: Option<u64>,
    pub stacks: Option<u64>,
    pub mapped_files: Option<u64>,
    pub anonymous_other: Option<u64>,
    pub unseen_ratio: Option<f64>,
    pub growing_term: Option<String>,
}

/// The recorder's own health. See [`crate::snapshot::RecorderHealth`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct Recorder {
    pub samples: u64,
    pub live_samples: u64,
    pub freed_samples: u64,
    pub dropped: DroppedLine,
    pub dropped_bytes: u64,
    pub truncated_stacks_ratio: f64,
    pub own_bytes: u64,
    pub cpu_seconds: f64,
    pub sample_interval_bytes: u64,
    pub stack_method: String,
    pub thinnings: u64,
    pub ticks: u64,
}

/// Samples lost, by cause.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct DroppedLine {
    pub ring_full: u64,
    pub table_full: u64,
    pub page_map: u64,
    pub no_thread_block: u64,
    pub thinned: u64,
    pub stack_table_full: u64,
}

impl Report {
    /// The document as JSON, one line a field.
    pub fn to_json(&self) -> String {
        // Every value is a number, a string or a list of them; not-finite numbers become null. It cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a document. `name` is what errors call it. Errors: it is no JSON, not this schema, or a field is missing.
    pub fn from_json(text: &str, name: &str) -> Result<Report> {
        #[derive(Deserialize)]
        struct Head {
            schema: Option<String>,
        }
        let head: Head = serde_json::from_str(text).map_err(|e| unreadable(name, SCHEMA, e))?;
        match head.schema.as_deref() {
            Some(SCHEMA) => serde_json::from_str(text).map_err(|e| unreadable(name, SCHEMA, e)),
            other => {
                let found = other.unwrap_or("none");
                Err(Error::input(format!("{name} has the schema `{found}`; this version reads `{SCHEMA}`")))
            }
        }
    }

    /// The worst severity of a leak; a leak that no site explains has the severity of its rate. A word that this version does
    /// not know counts as critical: better looked at than missed.
    pub fn worst(&self) -> Severity {
        let known = [Severity::None, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let named = |word: &str| known.into_iter().find(|s| s.name() == word).unwrap_or(Severity::Critical);
        let sites = self.leaks.iter().map(|l| named(&l.severity)).max();
        let process = || Thresholds::default().severity(0.0, self.verdict.rate_bytes_per_hour);
        sites.unwrap_or_else(|| if self.verdict.leak { process() } else { Severity::None })
    }

    /// Leaks as CSV, one a line, with a header; sizes in bytes.
    pub fn to_csv(&self) -> String {
        csv::leaks(self)
    }

    /// The report for a human.
    pub fn to_text(&self) -> String {
        text::render(self)
    }
}

/// What is wrong with a document that does not parse, and what to do about it.
fn unreadable(name: &str, schema: &str, cause: serde_json::Error) -> Error {
    let what = match cause.classify() {
        serde_json::error::Category::Eof => "is cut off; take it again",
        _ => "is no document of",
    };
    let schema = if cause.is_eof() { String::new() } else { format!(" {schema}") };
    Error::input(format!("{name} {what}{schema}")).because(cause)
}
