//! The dashboard against Grafana's own types, and its queries against series of the published names.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{cases, heapwatch, must, node_folder, rule_file, text, type_check};

/// Every series that the queries may use, one each; a query on any other name or label finds nothing.
const PUBLISHED: &[&str] = &[
    "memory_rss_bytes",
    "memory_heap_bytes",
    "memory_virtual_bytes",
    "memory_limit_bytes",
    "memory_peak_bytes",
    "memory_utilization_ratio",
    "process_start_time_seconds",
    r#"memory_growth_bytes_per_hour{bound="expected"}"#,
    r#"memory_exhaustion_seconds{bound="expected"}"#,
    r#"memory_leaks{severity="high",status="detected"}"#,
    r#"memory_leaks_detected_total{severity="high"}"#,
    r#"memory_leak_growth_bytes_per_hour{site="s1",component="db"}"#,
    r#"heapwatch_site_info{site="s1",function="app::keep",location="src/main.rs:1"}"#,
    r#"memory_leak_size_bytes_bucket{component="db",severity="high",le="1e8"}"#,
    r#"memory_leak_size_bytes_bucket{component="db",severity="high",le="+Inf"}"#,
    r#"memory_leak_allocations_total{component="db",severity="high"}"#,
    r#"memory_allocations_total{component="db",operation="read"}"#,
    r#"memory_allocated_bytes_total{component="db",operation="read"}"#,
    r#"memory_freed_bytes_total{component="db",operation="read"}"#,
    r#"memory_allocation_size_bytes_bucket{component="db",operation="read",le="1024"}"#,
    r#"memory_allocation_size_bytes_bucket{component="db",operation="read",le="+Inf"}"#,
    r#"memory_allocation_efficiency_score{component="db"}"#,
    r#"memory_allocator_total_bytes{component="db"}"#,
    r#"memory_allocation_distribution_total{size_category="tiny"}"#,
    r#"memory_site_live_bytes{site="s1"}"#,
    r#"memory_type_live_bytes{type="app::Session"}"#,
    r#"heap_objects{type="app::Session"}"#,
    r#"memory_ledger_bytes{term="stacks"}"#,
    r#"endpoint_memory_delta_bytes_bucket{endpoint="/x",method="GET",le="1e6"}"#,
    r#"endpoint_memory_delta_bytes_bucket{endpoint="/x",method="GET",le="+Inf"}"#,
    r#"endpoint_memory_delta_bytes_sum{endpoint="/x",method="GET"}"#,
    r#"endpoint_memory_allocated_bytes_bucket{endpoint="/x",method="GET",le="1e6"}"#,
    r#"endpoint_memory_allocated_bytes_bucket{endpoint="/x",method="GET",le="+Inf"}"#,
    r#"endpoint_memory_retained_bytes{endpoint="/x",method="GET"}"#,
    r#"allocator_latency_seconds_bucket{call="alloc",le="0.001"}"#,
    r#"allocator_latency_seconds_bucket{call="alloc",le="+Inf"}"#,
    r#"gc_duration_seconds_bucket{generation="0",le="0.5"}"#,
    r#"gc_duration_seconds_bucket{generation="0",le="+Inf"}"#,
    r#"gc_collections_total{generation="0"}"#,
    "memory_anomaly_score",
    r#"memory_anomalies_total{severity="high"}"#,
    "heapwatch_samples_total",
    r#"heapwatch_dropped_samples_total{cause="ring_full"}"#,
    "heapwatch_truncated_stacks_ratio",
    "heapwatch_own_bytes",
    "heapwatch_cpu_seconds_total",
];

const SECTIONS: [&str; 9] = [
    "Overview",
    "Growth",
    "Leaks",
    "Types",
    "Endpoints",
    "Allocation quality",
    "Ledger",
    "Forecast",
    "Recorder health",
];

fn dashboard() -> Value {
    serde_json::from_str(&text(&heapwatch("dashboard", &[]))).expect("JSON")
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().expect("panels").iter().collect()
}

/// Queries as Grafana sends them.
fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).into_iter().filter_map(|p| p["targets"].as_array()).flatten();
    let fill = |q: &str| {
        q.replace("$__rate_interval", "5m").replace("job=\"$job\"", "job=\"checkout\"").replace("$instance", ".*")
    };
    targets.map(|t| fill(t["expr"].as_str().expect("a query"))).collect()
}

#[test]
fn every_query_finds_the_published_series() {
    let dashboard = dashboard();
    let dir = TempDir::new().expect("a folder");
    std::fs::write(dir.path().join("rules.yaml"), rule_file("yaml")).expect("written");
    // 3 MiB a minute, so that there is growth, and an alert fires.
    let series: Vec<Value> =
        PUBLISHED.iter().map(|name| json!({ "series": cases::named(name), "values": "1+3145728x300" })).collect();
    let finds: Vec<Value> = queries(&dashboard)
        .iter()
        .map(|q| {
            let expr = format!("count({q}) > bool 0");
            json!({ "expr": expr, "eval_time": "4h", "exp_samples": [{ "labels": "{}", "value": 1 }] })
        })
        .collect();
    let tests = json!([{ "interval": "1m", "input_series": series, "promql_expr_test": finds }]);
    let document = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests });
    std::fs::write(dir.path().join("tests.yaml"), document.to_string()).expect("written");
    must("promtool", &["test", "rules", "tests.yaml"], dir.path());
}

#[test]
fn every_panel_has_its_place_unit_and_words() {
    let dashboard = dashboard();
    let all = panels(&dashboard);
    let rows: Vec<&str> = all.iter().filter(|p| p["type"] == "row").filter_map(|p| p["title"].as_str()).collect();
    assert_eq!(rows, SECTIONS);
    let ids: BTreeSet<u64> = all.iter().filter_map(|p| p["id"].as_u64()).collect();
    assert_eq!(ids.len(), all.len(), "ids are told apart");
    let mut cells = BTreeSet::new();
    for panel in &all {
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
        assert!(at("x") + at("w") <= 24);
        for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "two panels at {cell:?}: {panel}");
        }
        let has_words = panel["description"].as_str().is_some_and(|d| d.ends_with('.'));
        let has_unit = panel["fieldConfig"]["defaults"]["unit"].is_string();
        assert!(panel["type"] == "row" || (has_words && has_unit), "{panel}");
    }
}

/// Enumerations of text are taken as the text itself, since JSON has nothing else; and the fields of an annotation that belong
/// to its data source are added.
#[test]
fn grafanas_types_take_the_dashboard() {
    let source = format!(
        "import type {{ Dashboard }} from '@grafana/schema';\n\
         type Plain<T> = T extends string ? `${{T}}` : T extends (infer U)[] ? Plain<U>[]\n\
           : T extends object ? {{ [K in keyof T]: Plain<T[K]> }} : T;\n\
         type Query = {{ expr: string; step: string; titleFormat: string; textFormat: string }};\n\
         export const dashboard: Plain<Dashboard> & {{ annotations: {{ list: Query[] }} }} = {};\n",
        dashboard()
    );
    type_check(node_folder().path(), "dashboard", &source);
}

/// What the kit does not know it drops.
#[test]
fn grafanas_kit_gives_the_dashboard_back_whole() {
    let dir = TempDir::new().expect("a folder");
    std::fs::write(dir.path().join("dashboard.json"), dashboard().to_string()).expect("written");
    std::fs::write(dir.path().join("roundtrip.py"), include_str!("roundtrip.py")).expect("written");
    must("python3", &["roundtrip.py", "dashboard.json"], dir.path());
}
