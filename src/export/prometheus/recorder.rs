//! The recorder's own health and cost.

use super::family::Family;
use super::labels::bounded;
use crate::snapshot::{Dropped, RecorderHealth, Snapshot};

pub fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families = vec![info(snapshot)];
    families.extend(samples(&snapshot.recorder));
    families.extend(cost(&snapshot.recorder));
    families.push(
        Family::gauge(
            "heapwatch_snapshot_timestamp_seconds",
            "When these figures were taken, seconds since the epoch.",
        )
        .of(Some(snapshot.taken_at_s)),
    );
    families
}

fn info(snapshot: &Snapshot) -> Family {
    let p = &snapshot.process;
    let labels = vec![
        ("service", bounded(&p.service)),
        ("version", bounded(&p.version)),
        ("session_id", bounded(&p.session_id)),
        ("stack_method", snapshot.recorder.stack_method.to_owned()),
    ];
    let mut family = Family::gauge("heapwatch_info", "Who this is; always 1.");
    family.add_number(labels, 1.0);
    family
}

fn samples(r: &RecorderHealth) -> Vec<Family> {
    let counter = |name, help, value: u64| Family::counter(name, help).of(Some(value as f64));
    vec![
        counter("heapwatch_samples_total", "Samples taken.", r.samples),
        counter("heapwatch_freed_samples_total", "Samples whose free was seen.", r.freed_samples),
        Family::gauge("heapwatch_live_samples", "Samples now alive.").of(Some(r.live_samples as f64)),
        Family::counter("heapwatch_dropped_samples_total", "Samples lost, by cause.").by("cause", drops(&r.dropped)),
        counter("heapwatch_dropped_bytes_total", "Bytes of the allocations whose samples were lost.", r.dropped_bytes),
        counter("heapwatch_thinnings_total", "Times that the interval was doubled for want of room.", r.thinnings),
        Family::gauge("heapwatch_truncated_stacks_ratio", "Share of stacks that do not reach their end.")
            .of(Some(r.truncated_stacks_ratio)),
    ]
}

fn drops(d: &Dropped) -> [(&'static str, f64); 6] {
    let Dropped { ring_full, table_full, page_map, no_thread_block, thinned, stack_table_full } = *d;
    [
        ("ring_full", ring_full as f64),
        ("table_full", table_full as f64),
        ("page_map", page_map as f64),
        ("no_thread_block", no_thread_block as f64),
        ("thinned", thinned as f64),
        ("stack_table_full", stack_table_full as f64),
    ]
}

fn cost(r: &RecorderHealth) -> Vec<Family> {
    vec![
        Family::gauge("heapwatch_own_bytes", "Memory of the recorder itself.").of(Some(r.own_bytes as f64)),
        Family::counter("heapwatch_cpu_seconds_total", "Time of the recorder's threads.").of(Some(r.cpu_seconds)),
        Family::gauge("heapwatch_sample_interval_bytes", "Mean distance of samples.")
            .of(Some(r.sample_interval_bytes as f64)),
        Family::counter("heapwatch_ticks_total", "Ticks of the collector.").of(Some(r.ticks as f64)),
    ]
}
