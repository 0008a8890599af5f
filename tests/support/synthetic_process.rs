//! A process that never ran: snapshots at any age of it, with names as unkind as users can make them.

use std::sync::Arc;

use heapwatch::Severity;
use heapwatch::analyze::heap::process::Exhaustion;
use heapwatch::analyze::heap::{SiteFinding, Verdict};
use heapwatch::snapshot::*;

pub const HOSTILE: &str = "a\"b\\c\nd\té/{x=\"1\"} 漢字 🦀\\";

const MB: u64 = 1 << 20;

/// The process after `minutes`: it leaks 6 MiB a minute, serves requests, collects, and in its last minutes (from `spike_at` on)
/// holds 400 MiB more.
pub fn snapshot(minutes: u64, spike_at: u64) -> Snapshot {
    let spike = if minutes >= spike_at { 400 * MB } else { 0 };
    let live = (100 + 6 * minutes) * MB + spike;
    let calls = 1_000_000 * (minutes + 1);
    Snapshot {
        taken_at_s: 1_700_000_000.0 + 60.0 * minutes as f64,
        uptime_s: 60.0 * minutes as f64,
        process: Identity {
            service: HOSTILE.into(),
            version: "1.4.2".into(),
            session_id: "s".into(),
            labels: vec![("region".into(), HOSTILE.into())],
            ..Identity::default()
        },
        memory: memory(live + 20 * MB),
        totals: Totals {
            allocated_bytes: live + calls * 256,
            freed_bytes: calls * 256,
            allocations: calls,
            frees: calls - live / 200,
            allocations_by_class: vec![calls - 70, 10, 10, 10, 10, 10, 10, 10],
            peak_live_bytes: live,
        },
        ledger: ledger(live),
        sites: (0..60).map(|i| Arc::new(site(i, live))).collect(),
        types: (0..80).map(|i| kind(i, live)).collect(),
        scopes: scopes(minutes + 1, live),
        size_histogram: sizes(calls as f64),
        allocator_latency: vec![LatencyHistogram { call: "alloc", histogram: histogram(1e-6, calls, 0.5) }],
        recorder: RecorderHealth { samples: calls / 100, stack_method: "unwind_tables", ..RecorderHealth::default() },
        ..Snapshot::default()
    }
}

fn ledger(live: u64) -> Ledger {
    Ledger {
        live_heap: live,
        stacks: Some(MB),
        live_heap_not_resident: Some(MB),
        unseen_ratio: Some(0.1),
        ..Ledger::default()
    }
}

fn memory(rss: u64) -> ProcessMemory {
    let limit = Limit { bytes: 4096 * MB, source: "memory.max".into(), usage_bytes: Some(rss), ..Limit::default() };
    ProcessMemory {
        rss_bytes: Some(rss),
        peak_rss_bytes: Some(rss),
        virtual_bytes: Some(rss * 3),
        swap_bytes: Some(0),
        cpu_seconds: Some(1.5),
        open_fds: Some(9),
        max_fds: Some(1024),
        threads: Some(4),
        start_time_s: Some(1.7e9),
        minor_faults: Some(3),
        major_faults: Some(1),
        limit: Some(limit),
        events: Some(MemoryEvents::default()),
        pressure: Some(Pressure::default()),
        ..ProcessMemory::default()
    }
}

fn usage(bytes: f64) -> Usage {
    let of = |value| Estimate { value, variance: 0.0 };
    Usage {
        live_bytes: of(bytes),
        live_objects: of(bytes / 100.0),
        allocated_objects: bytes / 50.0,
        ..Usage::default()
    }
}

fn site(i: u64, live: u64) -> Site {
    let frame = Frame { function: format!("{HOSTILE}{i}").into(), ..Frame::default() };
    Site {
        id: i,
        stack: Arc::new([frame]),
        scope: Scope { component: Some(HOSTILE.into()), ..Scope::default() },
        usage: usage(live as f64 / 100.0),
        ..Site::default()
    }
}

/// All types begin alike, for longer than a label can be.
fn kind(i: u64, live: u64) -> TypeUsage {
    TypeUsage { name: format!("{}{i}", HOSTILE.repeat(20)).into(), usage: usage(live as f64 / 200.0) }
}

fn scopes(steps: u64, live: u64) -> Vec<ScopeUsage> {
    let none = ScopeUsage { size_histogram: sizes(steps as f64), ..ScopeUsage::default() };
    let component = |i: u64| ScopeUsage {
        scope: Scope { component: Some(format!("{HOSTILE}{i}").into()), ..Scope::default() },
        allocations: steps * 100,
        allocated_bytes: steps * 1000,
        freed_bytes: steps * 500,
        usage: usage(live as f64 / 1000.0),
        size_histogram: sizes(steps as f64 * 0.4),
        ..ScopeUsage::default()
    };
    let endpoint = |i: u64| ScopeUsage {
        scope: Scope {
            endpoint: Some(format!("/{HOSTILE}{i}").into()),
            method: Some("GET".into()),
            ..Scope::default()
        },
        request_net_bytes: Some(histogram(1e6, steps * 10, 1e5)),
        request_allocated_bytes: Some(histogram(1e6, steps * 10, 2e5)),
        usage: usage(1e4),
        ..component(i)
    };
    std::iter::once(none).chain((0..150).map(component)).chain((0..150).map(endpoint)).collect()
}

fn sizes(count: f64) -> Vec<SizeBucket> {
    let bucket =
        |upper_bytes: u64| SizeBucket { upper_bytes, count, sum_bytes: count * (upper_bytes.min(1 << 30) as f64) };
    [64, 1024, 65_536, 1 << 20, u64::MAX].map(bucket).to_vec()
}

fn histogram(unit: f64, count: u64, mean: f64) -> ValueHistogram {
    let cumulative = vec![count / 4, count / 2, count];
    ValueHistogram { upper_bounds: vec![unit, 2.0 * unit, 5.0 * unit], cumulative, count, sum: count as f64 * mean }
}

pub fn verdict(snapshot: &Snapshot) -> Verdict {
    let leak = |site: &Arc<Site>| SiteFinding {
        site: site.clone(),
        leak: true,
        confidence: 0.9,
        rate_bytes_per_hour: [9e6, 8e6, 1e7],
        onset_s: None,
        shape: "linear",
        severity: Severity::Critical,
        share_of_growth: 0.1,
        responsible_frame: None,
        evidence: Vec::new(),
        refuted_by: String::new(),
        advice: String::new(),
    };
    let at_s = snapshot.taken_at_s + 3600.0;
    Verdict {
        leak: true,
        rate_bytes_per_hour: [3.6e8, 3e8, 4e8],
        exhaustion: Some(Exhaustion { at_s, earliest_s: at_s - 600.0, latest_s: None }),
        leaks: snapshot.sites.iter().take(40).map(leak).collect(),
        ..Verdict::default()
    }
}

pub fn pauses(steps: u64) -> [PauseHistogram; 1] {
    let (upper_bounds, n) = (vec![0.1, 0.5, 1.0], steps * 4);
    let histogram = ValueHistogram { upper_bounds, cumulative: vec![n / 4, n / 2, n], count: n, sum: n as f64 * 0.6 };
    [PauseHistogram { generation: "0", histogram }]
}
