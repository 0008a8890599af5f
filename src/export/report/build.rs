//! Puts the report together from a snapshot and its verdict. Chooses and spells; what is computed was computed before.

use super::{
    DroppedLine, Exhaustion, FrameLine, Leak, Ledger, Process, Recorder, Report, SCHEMA, ScopeLine, SiteLine, Verdict,
};
use crate::analyze::heap::{self, SiteFinding, site::responsible, words};
use crate::snapshot::{self, Frame, Site, Snapshot};

/// Sites that a report lists.
const SITES: usize = 50;
/// Frames of a stack that a report lists.
const FRAMES: usize = 128;
/// Frames of a site that no finding is about: who looks further finds the whole stack in a profile.
const SITE_FRAMES: usize = 24;

impl Report {
    /// The report on a snapshot with its verdict.
    pub fn new(snapshot: &Snapshot, verdict: &heap::Verdict) -> Report {
        let sites = snapshot.sites.iter().take(SITES).enumerate();
        Report {
            schema: SCHEMA.to_owned(),
            taken_at: time(snapshot.taken_at_s),
            taken_at_s: snapshot.taken_at_s,
            process: process(snapshot),
            verdict: Verdict::new(verdict),
            leaks: verdict.leaks.iter().enumerate().map(|(i, f)| Leak::new(i + 1, f)).collect(),
            sites: sites.map(|(i, s)| SiteLine::of(i + 1, s)).collect(),
            ledger: ledger(&snapshot.ledger),
            recorder: recorder(&snapshot.recorder),
        }
    }
}

fn time(epoch_s: f64) -> String {
    words::time(epoch_s).unwrap_or_default()
}

fn process(s: &Snapshot) -> Process {
    let limit = s.memory.limit.as_ref();
    Process {
        pid: s.process.pid,
        service: s.process.service.clone(),
        version: s.process.version.clone(),
        session_id: s.process.session_id.clone(),
        started_at: time(s.process.started_at_s),
        started_at_s: s.process.started_at_s,
        uptime_s: s.uptime_s,
        labels: s.process.labels.iter().cloned().collect(),
        heap_live_bytes: s.totals.live_bytes(),
        heap_live_objects: s.totals.live_objects(),
        allocated_bytes: s.totals.allocated_bytes,
        freed_bytes: s.totals.freed_bytes,
        rss_bytes: s.memory.rss_bytes,
        virtual_bytes: s.memory.virtual_bytes,
        requests: requests(s),
        limit_bytes: limit.map(|l| l.bytes),
        limit_source: limit.map(|l| l.source.clone()),
    }
}

/// Requests so far, when any endpoint was entered.
fn requests(s: &Snapshot) -> Option<u64> {
    let endpoints = s.scopes.iter().filter(|s| s.scope.endpoint.is_some());
    endpoints.map(|s| s.entries).reduce(u64::saturating_add)
}

impl Verdict {
    fn new(v: &heap::Verdict) -> Verdict {
        let [rate_bytes_per_hour, rate_lower, rate_upper] = v.rate_bytes_per_hour;
        Verdict {
            leak: v.leak,
            confidence: v.confidence,
            rate_bytes_per_hour,
            rate_lower,
            rate_upper,
            exhaustion: v.exhaustion.map(|e| Exhaustion {
                at: words::time(e.at_s),
                at_s: e.at_s,
                earliest: words::time(e.earliest_s),
                earliest_s: e.earliest_s,
                latest: e.latest_s.and_then(words::time),
                latest_s: e.latest_s,
            }),
            summary: v.summary.clone(),
        }
    }
}

impl Leak {
    fn new(rank: usize, f: &SiteFinding) -> Leak {
        let [rate_bytes_per_hour, rate_lower, rate_upper] = f.rate_bytes_per_hour;
        Leak {
            site: SiteLine::new(rank, &f.site, f.responsible_frame),
            severity: f.severity.name().to_owned(),
            confidence: f.confidence,
            rate_bytes_per_hour,
            rate_lower,
            rate_upper,
            share_of_growth: f.share_of_growth,
            onset: f.onset_s.and_then(words::time),
            onset_s: f.onset_s,
            shape: f.shape.to_owned(),
            evidence: f.evidence.clone(),
            refuted_by: f.refuted_by.clone(),
            advice: f.advice.clone(),
        }
    }
}

impl SiteLine {
    /// A site that no finding is about.
    pub(crate) fn of(rank: usize, site: &Site) -> SiteLine {
        let mut line = SiteLine::new(rank, site, responsible(site));
        line.stack.truncate(SITE_FRAMES);
        line
    }

    fn new(rank: usize, site: &Site, responsible_frame: Option<usize>) -> SiteLine {
        let u = &site.usage;
        let frame = |index: Option<usize>| index.and_then(|i| site.stack.get(i)).map(FrameLine::new);
        SiteLine {
            rank,
            site_id: format!("{:016x}", site.id),
            live_bytes: u.live_bytes.value,
            live_bytes_error: u.live_bytes.error95(),
            live_objects: u.live_objects.value,
            allocated_bytes: u.allocated_bytes,
            live_samples: u.live_samples,
            type_name: site.type_name.as_ref().map(ToString::to_string),
            scope: ScopeLine::of(&site.scope),
            responsible_frame: frame(responsible_frame),
            allocating_frame: frame(site.allocating_frame),
            stack: site.stack.iter().take(FRAMES).map(FrameLine::new).collect(),
        }
    }
}

impl FrameLine {
    fn new(frame: &Frame) -> FrameLine {
        FrameLine {
            function: frame.function.to_string(),
            file: frame.file.as_ref().map(ToString::to_string),
            line: frame.line,
            krate: frame.krate.as_ref().map(ToString::to_string),
        }
    }
}

impl ScopeLine {
    pub(crate) fn of(scope: &snapshot::Scope) -> ScopeLine {
        let of = |part: &Option<std::sync::Arc<str>>| part.as_ref().map(ToString::to_string);
        ScopeLine {
            component: of(&scope.component),
            operation: of(&scope.operation),
            endpoint: of(&scope.endpoint),
            method: of(&scope.method),
        }
    }
}

fn ledger(l: &snapshot::Ledger) -> Ledger {
    Ledger {
        live_heap: l.live_heap,
        allocator_overhead: l.allocator_overhead,
        stacks: l.stacks,
        mapped_files: l.mapped_files,
        anonymous_other: l.anonymous_other,
        unseen_ratio: l.unseen_ratio,
        growing_term: l.growing_term.map(str::to_owned),
    }
}

fn recorder(r: &snapshot::RecorderHealth) -> Recorder {
    Recorder {
        samples: r.samples,
        live_samples: r.live_samples,
        freed_samples: r.freed_samples,
        dropped: DroppedLine {
            ring_full: r.dropped.ring_full,
            table_full: r.dropped.table_full,
            page_map: r.dropped.page_map,
            no_thread_block: r.dropped.no_thread_block,
            thinned: r.dropped.thinned,
            stack_table_full: r.dropped.stack_table_full,
        },
        dropped_bytes: r.dropped_bytes,
        truncated_stacks_ratio: r.truncated_stacks_ratio,
        own_bytes: r.own_bytes,
        cpu_seconds: r.cpu_seconds,
        sample_interval_bytes: r.sample_interval_bytes,
        stack_method: r.stack_method.to_owned(),
        thinnings: r.thinnings,
        ticks: r.ticks,
    }
}
