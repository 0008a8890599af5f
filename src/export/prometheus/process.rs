//! What the kernel says of the process: its memory, its limit, the standard `process_*` set, and the ledger.

use super::family::Family;
use crate::snapshot::{Ledger, ProcessMemory, Snapshot};

pub fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families = memory(snapshot);
    families.extend(limit(&snapshot.memory));
    families.extend(ledger(&snapshot.ledger));
    families.extend(standard(&snapshot.memory));
    families
}

fn gauge(name: &'static str, help: &'static str, value: Option<u64>) -> Family {
    Family::gauge(name, help).of(value.map(|v| v as f64))
}

fn memory(snapshot: &Snapshot) -> Vec<Family> {
    let (m, t) = (&snapshot.memory, &snapshot.totals);
    vec![
        gauge("memory_rss_bytes", "Resident set of the process.", m.rss_bytes),
        gauge("memory_heap_bytes", "Live bytes of the wrapped allocator, exact.", Some(t.live_bytes())),
        gauge("memory_virtual_bytes", "Address space of the process.", m.virtual_bytes),
        gauge("memory_peak_bytes", "Largest resident set so far.", m.peak_rss_bytes),
        gauge("memory_heap_peak_bytes", "Largest live heap that a tick has seen.", Some(t.peak_live_bytes)),
        gauge("memory_swap_bytes", "Pages of the process in swap.", m.swap_bytes),
    ]
}

fn limit(m: &ProcessMemory) -> Vec<Family> {
    let limit = m.limit.as_ref();
    let used = limit.and_then(|l| l.working_set_bytes.or(l.usage_bytes).or(m.rss_bytes));
    let ratio = limit.zip(used).filter(|(l, _)| l.bytes > 0).map(|(l, used)| used as f64 / l.bytes as f64);
    let events =
        m.events.iter().flat_map(|e| [("high", e.high), ("max", e.max), ("oom", e.oom), ("oom_kill", e.oom_kill)]);
    let waited = m.pressure.iter().flat_map(|p| [("some", p.some_seconds), ("full", p.full_seconds)]);
    vec![
        gauge("memory_limit_bytes", "The smallest memory limit that applies.", limit.map(|l| l.bytes)),
        Family::gauge("memory_utilization_ratio", "What counts against the limit, as a share of it.").of(ratio),
        Family::counter("memory_limit_events_total", "Times that the limits of the control group were hit.")
            .by("event", events.map(|(event, n)| (event, n as f64))),
        Family::counter("memory_pressure_seconds_total", "Time that some or all tasks waited for memory.")
            .by("tasks", waited),
    ]
}

fn ledger(l: &Ledger) -> Vec<Family> {
    let terms = [
        ("live_heap", Some(l.live_heap)),
        ("allocator_overhead", l.allocator_overhead),
        ("stacks", l.stacks),
        ("mapped_files", l.mapped_files),
        ("anonymous_other", l.anonymous_other),
        ("own", l.own),
    ];
    let known = terms.into_iter().filter_map(|(term, bytes)| Some((term, bytes? as f64)));
    let help =
        "Where the resident memory is. The terms less memory_heap_not_resident_bytes add up to the resident set.";
    let absent = "Live heap that is not resident: never touched, or swapped out.";
    vec![
        Family::gauge("memory_ledger_bytes", help).by("term", known),
        gauge("memory_heap_not_resident_bytes", absent, l.live_heap_not_resident),
        Family::gauge("memory_unseen_ratio", "Share of the resident set that the wrapped allocator does not see.")
            .of(l.unseen_ratio),
    ]
}

fn standard(m: &ProcessMemory) -> Vec<Family> {
    let counter = |name, help, value: Option<u64>| Family::counter(name, help).of(value.map(|v| v as f64));
    vec![
        Family::counter("process_cpu_seconds_total", "User and system time of the process.").of(m.cpu_seconds),
        gauge("process_resident_memory_bytes", "Resident set of the process.", m.rss_bytes),
        gauge("process_virtual_memory_bytes", "Address space of the process.", m.virtual_bytes),
        gauge("process_open_fds", "Open file descriptors.", m.open_fds),
        gauge("process_max_fds", "Most file descriptors that may be open.", m.max_fds),
        gauge("process_threads", "Threads of the process.", m.threads),
        Family::gauge("process_start_time_seconds", "Start of the process, seconds since the epoch.")
            .of(m.start_time_s),
        counter("process_minor_page_faults_total", "Page faults that needed no input.", m.minor_faults),
        counter("process_major_page_faults_total", "Page faults that needed input.", m.major_faults),
    ]
}
