//! Made series for each alert: some on which it must fire, some on which it must not.
//!
//! Values are in promtool's notation at a minute's distance: `a+bxn` starts at `a` and goes up by `b`, `n` times.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Series, the minute at which they are judged, and whether the alert fires then.
pub struct Case {
    pub alert: &'static str,
    pub fires: bool,
    pub minute: u32,
    pub series: Vec<(&'static str, String)>,
}

const MIB: u64 = 1 << 20;

/// The full name of a series of the one instance.
pub fn named(series: &str) -> String {
    let own = r#"job="checkout",namespace="shop",instance="a""#;
    match series.split_once('{') {
        Some((name, labels)) => format!("{name}{{{own},{labels}"),
        None => format!("{series}{{{own}}}"),
    }
}

/// Documents for `promtool test rules`, one for all cases on the same series: evaluation is what takes time.
pub fn documents(cases: &[Case]) -> Vec<Value> {
    let mut by_series: BTreeMap<&Vec<(&'static str, String)>, Vec<Value>> = BTreeMap::new();
    for case in cases {
        by_series.entry(&case.series).or_default().push(question(case));
    }
    let document = |(series, questions): (&Vec<_>, Vec<_>)| json!({ "interval": "1m", "input_series": input(series), "promql_expr_test": questions });
    by_series.into_iter().map(document).collect()
}

fn question(case: &Case) -> Value {
    let expected = if case.fires { json!([{ "labels": "{}", "value": 1 }]) } else { json!([]) };
    let alerts = format!("count(ALERTS{{alertname=\"{}\",alertstate=\"firing\"}})", case.alert);
    json!({ "expr": alerts, "eval_time": format!("{}m", case.minute), "exp_samples": expected })
}

pub fn input(series: &[(&'static str, String)]) -> Vec<Value> {
    series.iter().map(|(name, values)| json!({ "series": named(name), "values": values })).collect()
}

fn flat(value: impl std::fmt::Display) -> String {
    format!("{value}x600")
}

/// From 100 MiB on, so many KiB more a minute.
fn climb(kib_a_minute: u64) -> String {
    format!("{}+{}x600", 100 * MIB, kib_a_minute * 1024)
}

fn counter(a_minute: f64) -> String {
    format!("0+{a_minute}x600")
}

fn step(minute: u32, from: u64, to: u64) -> String {
    format!("{}x{} {}x600", from * MIB, minute - 1, to * MIB)
}

fn never() -> String {
    "Inf ".repeat(600).trim_end().to_owned()
}

/// Up 1 MiB a minute, and down by 16 MiB every 20 minutes.
fn saw() -> String {
    let at = |i: u64| (100 + i - 16 * (i / 20)) * MIB;
    (0..600).map(|i| at(i).to_string()).collect::<Vec<_>>().join(" ")
}

fn started() -> (&'static str, String) {
    ("process_start_time_seconds", flat(0))
}

pub fn all() -> Vec<Case> {
    let kinds = [usage, exhaustion, findings, growth, steps, endpoints, latency, recorder, missing];
    kinds.iter().flat_map(|kind| kind()).collect()
}

fn case(alert: &'static str, fires: bool, minute: u32, series: Vec<(&'static str, String)>) -> Case {
    Case { alert, fires, minute, series }
}

fn usage() -> Vec<Case> {
    let used =
        |fires, minute, values| case("CriticalMemoryUsage", fires, minute, vec![("memory_utilization_ratio", values)]);
    let rss = |fires, values| case("MemoryCeilingExceeded", fires, 5, vec![("memory_rss_bytes", values)]);
    vec![
        used(true, 10, flat(0.95)),
        used(false, 10, flat(0.89)),
        used(false, 14, "0.5x9 0.95x3 0.5x600".into()),
        rss(true, flat(950 * MIB)),
        rss(false, flat(850 * MIB)),
    ]
}

fn exhaustion() -> Vec<Case> {
    let of = |alert, fires, minute, expected: String, upper: String, used: f64| {
        let series = vec![
            (r#"memory_exhaustion_seconds{bound="expected"}"#, expected),
            (r#"memory_exhaustion_seconds{bound="upper"}"#, upper),
            ("memory_utilization_ratio", flat(used)),
            started(),
        ];
        case(alert, fires, minute, series)
    };
    let (soon, later) = ("MemoryExhaustionSoon", "MemoryExhaustionPredicted");
    vec![
        of(soon, true, 60, flat(7200), flat(9000), 0.6),
        of(soon, false, 60, flat(7200), flat(9000), 0.4),
        of(soon, false, 40, flat(7200), flat(9000), 0.6),
        of(soon, false, 60, flat(20_000), never(), 0.6),
        of(soon, false, 60, never(), never(), 0.6),
        of(later, true, 480, flat(172_800), flat(400_000), 0.6),
        of(later, false, 480, flat(172_800), never(), 0.6),
        of(later, false, 480, flat(172_800), flat(400_000), 0.4),
        of(later, false, 300, flat(172_800), flat(400_000), 0.6),
    ]
}

fn findings() -> Vec<Case> {
    let leak = |alert, fires, name| case(alert, fires, 40, vec![(name, flat(2))]);
    let anomaly =
        |fires, minute, name| case("MemoryAnomaly", fires, minute, vec![(name, "0x79 3x600".into()), started()]);
    let early = vec![(r#"memory_anomalies_total{severity="high"}"#, "0x9 3x600".into()), started()];
    vec![
        leak("CriticalMemoryLeak", true, r#"memory_leaks{severity="critical",status="detected"}"#),
        leak("CriticalMemoryLeak", false, r#"memory_leaks{severity="critical",status="suspected"}"#),
        leak("HighMemoryLeak", true, r#"memory_leaks{severity="high",status="detected"}"#),
        leak("HighMemoryLeak", false, r#"memory_leaks{severity="medium",status="detected"}"#),
        leak("MediumMemoryLeak", true, r#"memory_leaks{severity="medium",status="detected"}"#),
        leak("MediumMemoryLeak", false, r#"memory_leaks{severity="low",status="detected"}"#),
        anomaly(true, 85, r#"memory_anomalies_total{severity="high"}"#),
        anomaly(false, 85, r#"memory_anomalies_total{severity="low"}"#),
        case("MemoryAnomaly", false, 30, early),
    ]
}

fn growth() -> Vec<Case> {
    let rss = |alert, fires, minute, values| case(alert, fires, minute, vec![("memory_rss_bytes", values), started()]);
    let ledger = |fires, name| case("NonHeapMemoryGrowth", fires, 200, vec![(name, climb(1024)), started()]);
    vec![
        rss("MemoryLeakDetected", true, 200, climb(2048)),
        rss("MemoryLeakDetected", false, 200, climb(1500)),
        rss("RapidMemoryGrowth", true, 70, climb(6 * 1024)),
        rss("RapidMemoryGrowth", false, 70, climb(4 * 1024)),
        rss("RapidMemoryGrowth", false, 35, climb(6 * 1024)),
        rss("MonotonicMemoryGrowth", true, 90, climb(512)),
        rss("MonotonicMemoryGrowth", false, 90, climb(256)),
        rss("MonotonicMemoryGrowth", false, 200, saw()),
        rss("AnomalousMemoryPattern", true, 250, climb(2560)),
        rss("AnomalousMemoryPattern", false, 250, climb(1500)),
        ledger(true, r#"memory_ledger_bytes{term="stacks"}"#),
        ledger(false, r#"memory_ledger_bytes{term="live_heap"}"#),
        ledger(false, r#"memory_ledger_bytes{term="mapped_files"}"#),
    ]
}

/// One step long after the start, and the level kept: a spike, and nothing else.
fn steps() -> Vec<Case> {
    let rss = |alert, fires, minute, values| case(alert, fires, minute, vec![("memory_rss_bytes", values), started()]);
    let others = ["MemoryLeakDetected", "RapidMemoryGrowth", "MonotonicMemoryGrowth", "AnomalousMemoryPattern"];
    let silent = others
        .into_iter()
        .flat_map(|alert| (200..270).step_by(5).map(move |minute| rss(alert, false, minute, step(200, 300, 600))));
    let spike = [
        rss("MemorySpike", true, 203, step(200, 300, 600)),
        rss("MemorySpike", false, 203, step(200, 300, 390)),
        rss("MemorySpike", false, 13, step(10, 300, 600)),
    ];
    silent.chain(spike).collect()
}

fn endpoints() -> Vec<Case> {
    let requests = |fires, small: f64, all: f64| {
        let series = vec![
            (r#"endpoint_memory_delta_bytes_bucket{endpoint="/x",method="GET",le="1e6"}"#, counter(small)),
            (r#"endpoint_memory_delta_bytes_bucket{endpoint="/x",method="GET",le="2e7"}"#, counter(all)),
            (r#"endpoint_memory_delta_bytes_bucket{endpoint="/x",method="GET",le="+Inf"}"#, counter(all)),
            (r#"endpoint_memory_delta_bytes_count{endpoint="/x",method="GET"}"#, counter(all)),
        ];
        case("HighMemoryEndpoint", fires, 20, series)
    };
    let retained = |fires, values| {
        let name = r#"endpoint_memory_retained_bytes{endpoint="/x",method="GET"}"#;
        case("EndpointRetainsMemory", fires, 150, vec![(name, values), started()])
    };
    vec![
        requests(true, 1.0, 10.0),
        requests(false, 10.0, 10.0),
        requests(false, 0.1, 1.0),
        retained(true, climb(200)),
        retained(false, step(30, 1, 100)),
        retained(false, climb(50)),
    ]
}

fn latency() -> Vec<Case> {
    let pauses = |fires, fast| {
        let series = vec![
            (r#"gc_duration_seconds_bucket{generation="0",le="0.5"}"#, counter(fast)),
            (r#"gc_duration_seconds_bucket{generation="0",le="1"}"#, counter(10.0)),
            (r#"gc_duration_seconds_bucket{generation="0",le="+Inf"}"#, counter(10.0)),
        ];
        case("GCSlowdown", fires, 20, series)
    };
    let calls = |fires, fast| {
        let series = vec![
            (r#"allocator_latency_seconds_bucket{call="alloc",le="0.001"}"#, counter(fast)),
            (r#"allocator_latency_seconds_bucket{call="alloc",le="0.01"}"#, counter(1000.0)),
            (r#"allocator_latency_seconds_bucket{call="alloc",le="+Inf"}"#, counter(1000.0)),
        ];
        case("AllocatorSlowdown", fires, 30, series)
    };
    let score = |fires, minute, value: f64| {
        let name = r#"memory_allocation_efficiency_score{component="db"}"#;
        case("LowAllocationEfficiency", fires, minute, vec![(name, flat(value)), started()])
    };
    vec![
        pauses(true, 9.0),
        pauses(false, 10.0),
        calls(true, 980.0),
        calls(false, 999.0),
        score(true, 120, 0.2),
        score(false, 120, 0.4),
        score(false, 70, 0.2),
    ]
}

fn recorder() -> Vec<Case> {
    let lost = |fires, name| {
        case(
            "HeapwatchLosesSamples",
            fires,
            40,
            vec![(name, counter(10.0)), ("heapwatch_samples_total", counter(100.0))],
        )
    };
    let cut = |fires, ratio: f64| {
        case("HeapwatchStacksTruncated", fires, 40, vec![("heapwatch_truncated_stacks_ratio", flat(ratio))])
    };
    let busy = |fires, a_minute| {
        case("HeapwatchOverhead", fires, 60, vec![("heapwatch_cpu_seconds_total", counter(a_minute))])
    };
    vec![
        lost(true, r#"heapwatch_dropped_samples_total{cause="ring_full"}"#),
        lost(false, r#"heapwatch_dropped_samples_total{cause="thinned"}"#),
        cut(true, 0.3),
        cut(false, 0.1),
        busy(true, 6.0),
        busy(false, 0.6),
    ]
}

fn missing() -> Vec<Case> {
    let of = |fires, series| case("MemoryMetricsMissing", fires, 15, series);
    vec![
        of(true, vec![("up", flat(0))]),
        of(true, vec![("up", flat(1))]),
        of(true, vec![]),
        of(false, vec![("up", flat(1)), ("memory_rss_bytes", flat(MIB))]),
        of(false, vec![("memory_rss_bytes", flat(MIB))]),
    ]
}

/// A deploy over a running instance of the same name: caches fill within 20 minutes, then nothing grows. What a forecast made
/// of the slope says meanwhile is part of it. No alert may fire, ever.
pub fn deploy_and_plateau() -> Vec<(&'static str, String)> {
    // Minutes 0–179 the old process, 180–200 the new one fills, then it stays.
    let level = |old: u64, from: u64, a_minute: u64| {
        let (old, from, a_minute) = (old * MIB, from * MIB, a_minute * MIB);
        format!("{old}x179 {from}+{a_minute}x20 {}x219", from + 20 * a_minute)
    };
    let forecast = || format!("{}1000x19 {}", "Inf ".repeat(180), "Inf ".repeat(220).trim_end());
    vec![
        ("up", flat(1)),
        ("process_start_time_seconds", "0x179 10800x300".into()),
        ("memory_rss_bytes", level(620, 40, 30)),
        ("memory_utilization_ratio", "0.7x179 0.05+0.03x20 0.68x219".into()),
        (r#"memory_exhaustion_seconds{bound="expected"}"#, forecast()),
        (r#"memory_exhaustion_seconds{bound="lower"}"#, forecast()),
        (r#"memory_exhaustion_seconds{bound="upper"}"#, forecast()),
        (r#"memory_ledger_bytes{term="allocator_overhead"}"#, level(80, 5, 4)),
        (r#"memory_ledger_bytes{term="live_heap"}"#, level(500, 20, 25)),
        (r#"endpoint_memory_retained_bytes{endpoint="/x",method="GET"}"#, level(50, 1, 2)),
        (r#"memory_leaks{severity="critical",status="suspected"}"#, "0x179 1x20 0x219".into()),
        (r#"memory_leaks{severity="critical",status="detected"}"#, flat(0)),
        (r#"memory_anomalies_total{severity="high"}"#, "0x184 1x300".into()),
        (r#"memory_allocation_efficiency_score{component="db"}"#, "0.8x179 0.2x20 0.8x219".into()),
    ]
}
