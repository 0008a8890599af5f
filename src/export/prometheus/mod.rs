//! The metrics of a process, as Prometheus text 0.0.4 and as OpenMetrics 1.0.
//!
//! ```text
//! Sources ──families──▶ plain families ──floors──▶ no counter falls ──classic──▶ text | openmetrics
//! ```
//! [`families`] puts a snapshot and its verdict into families of plain data, which other exporters share. [`Exporter`] keeps the
//! little that must outlive a scrape: which leaks were counted already, and how far each counter has come. Everything is bounded:
//! lists by their top entries plus `other`, label values by length. Names and meanings are in `docs/METRICS.md`.

mod allocations;
mod classic;
mod endpoints;
pub mod family;
mod floors;
mod labels;
mod leak_counts;
mod leaks;
mod live;
mod openmetrics;
mod process;
mod recorder;
mod runtime;
mod text;

pub use self::family::{Family, Kind, Series, Value};
pub use self::runtime::AnomalyCounts;
use self::{floors::Floors, leak_counts::LeakCounts};
use crate::analyze::heap::Verdict;
use crate::snapshot::{PauseHistogram, Snapshot};

/// What the metrics are made of.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The process.
    pub snapshot: &'a Snapshot,
    /// What is said of it.
    pub verdict: &'a Verdict,
    /// Anomalies of the process, where they are looked for.
    pub anomalies: Option<&'a AnomalyCounts>,
    /// Pauses of an embedded collected runtime, by generation.
    pub pauses: &'a [PauseHistogram],
}

/// The two forms of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Makes metrics of one process; one exporter for its whole life, as counters must not fall between scrapes.
#[derive(Debug, Default)]
pub struct Exporter {
    leaks: LeakCounts,
    floors: Floors,
}

impl Exporter {
    /// All metrics under their canonical names. Constant labels are not in them: each format has its own place for those.
    pub fn families(&mut self, sources: &Sources<'_>) -> Vec<Family> {
        self.leaks.update(&sources.verdict.leaks);
        let mut families = families(sources, &self.leaks);
        self.floors.hold(&mut families);
        families
    }

    /// The scrape. `classic_names` adds the series under the names of older dashboards.
    pub fn scrape(&mut self, sources: &Sources<'_>, classic_names: bool, form: Form) -> String {
        let mut families = self.families(sources);
        if classic_names {
            classic::add(&mut families);
        }
        let constant = &sources.snapshot.process.labels;
        match form {
            Form::Text => text::render(&families, constant),
            Form::OpenMetrics => openmetrics::render(&families, constant),
        }
    }
}

fn families(sources: &Sources<'_>, counts: &LeakCounts) -> Vec<Family> {
    let snapshot = sources.snapshot;
    let parts = [
        process::families(snapshot),
        live::families(snapshot),
        allocations::families(snapshot),
        endpoints::families(snapshot),
        leaks::families(snapshot, sources.verdict, counts),
        runtime::families(snapshot, sources.pauses, sources.anomalies),
        recorder::families(snapshot),
    ];
    parts.into_iter().flatten().filter(|f| !f.series.is_empty()).collect()
}
