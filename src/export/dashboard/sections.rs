//! What each section asks. Queries only; drawing is the panel's.

use super::Selector;
use super::panel::{Kind, Panel};

/// All sections, in the order in which they stand.
pub fn all(s: &Selector) -> Vec<(&'static str, Vec<Panel>)> {
    vec![
        ("Overview", overview(s)),
        ("Growth", growth(s)),
        ("Leaks", leaks(s)),
        ("Types", types(s)),
        ("Endpoints", endpoints(s)),
        ("Allocation quality", allocation(s)),
        ("Ledger", ledger(s)),
        ("Forecast", forecast(s)),
        ("Recorder health", recorder(s)),
    ]
}

fn overview(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    let expected = s.with(r#"bound="expected""#);
    let firing = s.with(r#"alertstate="firing""#);
    let detected = s.with(r#"status="detected""#);
    let stat = |title, unit, expr| Panel::new(title, Kind::Stat, unit, 4, expr);
    vec![
        stat("Memory used", "percentunit", format!("max(memory_utilization_ratio{all})"))
            .about("Share of the memory limit in use, of the fullest instance.")
            .named("used")
            .steps(0.7, 0.9),
        stat("Resident memory", "bytes", format!("sum(memory_rss_bytes{all})"))
            .about("What the kernel holds in RAM for all instances.")
            .named("RSS"),
        stat("Live heap", "bytes", format!("sum(memory_heap_bytes{all})"))
            .about("What the service has allocated and not freed, all instances.")
            .named("heap"),
        stat("Time to the limit", "s", format!("min(memory_exhaustion_seconds{expected})"))
            .about("When the first instance meets its limit at the present growth; infinite: never.")
            .named("left"),
        stat("Leaking call sites", "short", format!("sum(memory_leaks{detected})"))
            .about("Call sites now judged to leak, of any severity.")
            .named("leaks")
            .steps(1.0, 3.0),
        stat("Alerts firing", "short", format!("count(ALERTS{firing}) or vector(0)"))
            .about("Alerts of this job that fire now.")
            .named("alerts")
            .steps(1.0, 3.0),
        Panel::new("Memory by instance", Kind::Lines, "bytes", 12, format!("memory_rss_bytes{all}"))
            .about("Resident memory and the live heap within it. RSS that rises alone is not the heap: see the ledger.")
            .named("RSS {{instance}}")
            .and(format!("memory_heap_bytes{all}"), "heap {{instance}}")
            .and(format!("memory_limit_bytes{all}"), "limit {{instance}}"),
        Panel::new("Address space", Kind::Lines, "bytes", 6, format!("memory_virtual_bytes{all}"))
            .about("Virtual memory. Growth of it alone costs nothing; growth with RSS does."),
        Panel::new("Uptime", Kind::Lines, "s", 6, format!("time() - process_start_time_seconds{all}"))
            .about("Seconds since start. A saw-tooth is a service that is killed or restarted again and again."),
    ]
}

fn growth(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new("Growth an hour", Kind::Lines, "bytes", 12, format!("memory_growth_bytes_per_hour{all}"))
            .about("Growth as the process estimates it, with the bounds of its interval. An interval across zero is no growth.")
            .named("{{bound}} {{instance}}"),
        Panel::new("RSS growth a minute", Kind::Lines, "bytes", 12, format!("deriv(memory_rss_bytes{all}[10m]) * 60"))
            .about("Slope of resident memory over 10 minutes."),
        Panel::new(
            "Change within an hour",
            Kind::Lines,
            "bytes",
            12,
            format!("memory_rss_bytes{all} - memory_rss_bytes{all} offset 1h"),
        )
        .about("Resident memory against the same instance an hour ago."),
        Panel::new("Anomaly score", Kind::Lines, "percentunit", 6, format!("memory_anomaly_score{all}"))
            .about("How unusual memory is for this process, 0 to 1."),
        Panel::new(
            "Anomalies found",
            Kind::Lines,
            "short",
            6,
            format!("sum by (severity) (increase(memory_anomalies_total{all}[1h]))"),
        )
        .about("Anomalies within the hour before, by severity.")
        .named("{{severity}}"),
    ]
}

fn leaks(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new(
            "Leaks by severity",
            Kind::Stat,
            "short",
            12,
            format!("sum by (severity, status) (memory_leaks{all})"),
        )
        .about("Call sites now judged to leak, and those that grow but are not called a leak yet.")
        .named("{{severity}} {{status}}")
        .steps(1.0, 3.0),
        Panel::new(
            "Leaks found within a day",
            Kind::Stat,
            "short",
            12,
            format!("sum by (severity) (increase(memory_leaks_detected_total{all}[1d]))"),
        )
        .about("New findings, those that have healed since included.")
        .named("{{severity}}"),
        Panel::new(
            "Growth of leaking sites an hour",
            Kind::Bars,
            "bytes",
            12,
            format!(
                "topk(10, sum by (site, component) (memory_leak_growth_bytes_per_hour{all})) \
                 * on (site) group_left (function) max by (site, function) (heapwatch_site_info{all})"
            ),
        )
        .about("The call sites that leak most. The leak report names their stacks by the same site.")
        .named("{{function}} {{component}} {{site}}"),
        Panel::new(
            "Trend of the leaks' growth",
            Kind::Lines,
            "bytes",
            12,
            format!("sum by (site) (deriv(memory_leak_growth_bytes_per_hour{all}[1h]) * 3600)"),
        )
        .about("Above zero a leak speeds up, as one that grows with load does.")
        .named("{{site}}"),
        Panel::new(
            "Live memory by call site",
            Kind::Lines,
            "bytes",
            12,
            format!("topk(10, sum by (site) (memory_site_live_bytes{all}))"),
        )
        .about("The largest sites, leaking or not. A cache levels out here, a leak does not.")
        .named("{{site}}"),
        Panel::new(
            "Size of leaks, 95th percentile",
            Kind::Lines,
            "bytes",
            6,
            format!("histogram_quantile(0.95, sum by (severity, le) (rate(memory_leak_size_bytes_bucket{all}[1h])))"),
        )
        .about("How large leaks are when they are found.")
        .named("{{severity}}"),
        Panel::new(
            "Allocations of leaking sites",
            Kind::Lines,
            "ops",
            6,
            format!("sum by (component, severity) (rate(memory_leak_allocations_total{all}[$__rate_interval]))"),
        )
        .about("Allocations a second at sites that leak.")
        .named("{{component}} {{severity}}"),
    ]
}

fn types(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new(
            "Live memory by type",
            Kind::Stack,
            "bytes",
            12,
            format!("topk(10, sum by (type) (memory_type_live_bytes{all}))"),
        )
        .about("Element types from the debug information; `other` is the rest.")
        .named("{{type}}"),
        Panel::new(
            "Growth by type an hour",
            Kind::Table,
            "bytes",
            6,
            format!("sort_desc(topk(10, sum by (type) (deriv(memory_type_live_bytes{all}[1h]) * 3600)))"),
        )
        .about("The type that grows is what is being kept."),
        Panel::new(
            "Live objects by type",
            Kind::Lines,
            "short",
            6,
            format!("topk(10, sum by (type) (heap_objects{all}))"),
        )
        .about("Objects now alive.")
        .named("{{type}}"),
    ]
}

fn endpoints(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    let by = "sum by (endpoint, method)";
    let p95 = |metric: &str| {
        format!(
            "histogram_quantile(0.95, sum by (endpoint, method, le) (rate({metric}_bucket{all}[$__rate_interval])))"
        )
    };
    let lines = |title, unit, expr| Panel::new(title, Kind::Lines, unit, 12, expr).named("{{method}} {{endpoint}}");
    vec![
        lines("Memory that endpoints hold", "bytes", format!("topk(10, {by} (endpoint_memory_retained_bytes{all}))"))
            .about("Still alive of what requests allocated, by route. This is where a leak by request shows."),
        lines(
            "Net memory of requests",
            "Bps",
            format!("topk(10, {by} (rate(endpoint_memory_delta_bytes_sum{all}[$__rate_interval])))"),
        )
        .about("Allocated less freed while requests ran. Work handed to other threads shifts it."),
        lines("Net memory of a request, 95th percentile", "bytes", p95("endpoint_memory_delta_bytes"))
            .about("What one request in 20 leaves behind at least."),
        lines("Allocated by a request, 95th percentile", "bytes", p95("endpoint_memory_allocated_bytes"))
            .about("What a request asks of the allocator, freed or not."),
    ]
}

fn allocation(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new(
            "Efficiency",
            Kind::Gauge,
            "percentunit",
            6,
            format!("avg by (component) (memory_allocation_efficiency_score{all})"),
        )
        .about("0.9 and more is excellent, 0.7 good, below 0.3 bad: many tiny or huge allocations.")
        .named("{{component}}"),
        Panel::new(
            "Sizes of allocations",
            Kind::Heatmap,
            "short",
            9,
            format!("sum by (le) (increase(memory_allocation_size_bytes_bucket{all}[$__rate_interval]))"),
        )
        .about("How many allocations of which size.")
        .named("{{le}}"),
        Panel::new(
            "Size, 95th percentile",
            Kind::Lines,
            "bytes",
            9,
            format!(
                "histogram_quantile(0.95, sum by (component, le) \
                 (rate(memory_allocation_size_bytes_bucket{all}[$__rate_interval])))"
            ),
        )
        .about("One allocation in 20 is larger.")
        .named("{{component}}"),
        Panel::new(
            "Allocations by size",
            Kind::Stack,
            "ops",
            8,
            format!("sum by (size_category) (rate(memory_allocation_distribution_total{all}[$__rate_interval]))"),
        )
        .about("tiny < 1 KiB, small < 64 KiB, medium < 1 MiB, large < 16 MiB, huge.")
        .named("{{size_category}}"),
        Panel::new(
            "Allocated by component",
            Kind::Lines,
            "Bps",
            8,
            format!("sum by (component, operation) (rate(memory_allocated_bytes_total{all}[$__rate_interval]))"),
        )
        .about("Bytes asked for a second.")
        .named("{{component}} {{operation}}"),
        Panel::new(
            "Allocations and frees",
            Kind::Lines,
            "ops",
            8,
            format!("sum(rate(memory_allocations_total{all}[$__rate_interval]))"),
        )
        .about("Calls a second, and bytes given back a second on the same time axis.")
        .named("allocations")
        .and(format!("sum(rate(memory_freed_bytes_total{all}[$__rate_interval]))"), "bytes freed"),
        Panel::new(
            "Largest components",
            Kind::Bars,
            "bytes",
            8,
            format!("topk(10, sum by (component) (memory_allocator_total_bytes{all}))"),
        )
        .about("Live bytes by component.")
        .named("{{component}}"),
        Panel::new(
            "Latency of the allocator",
            Kind::Lines,
            "s",
            8,
            format!(
                "histogram_quantile(0.99, sum by (call, le) \
                 (rate(allocator_latency_seconds_bucket{all}[$__rate_interval])))"
            ),
        )
        .about("99th percentile of sampled calls. A slow allocator faults pages in, or is fought over.")
        .named("{{call}}"),
        Panel::new(
            "Pauses of an embedded collector",
            Kind::Lines,
            "s",
            8,
            format!(
                "histogram_quantile(0.95, sum by (generation, le) \
                 (rate(gc_duration_seconds_bucket{all}[$__rate_interval])))"
            ),
        )
        .about("95th percentile, and collections a second; empty without an embedded runtime.")
        .named("p95 generation {{generation}}")
        .and(
            format!("sum by (generation) (rate(gc_collections_total{all}[$__rate_interval]))"),
            "collections/s generation {{generation}}",
        ),
    ]
}

fn ledger(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new(
            "Where resident memory is",
            Kind::Stack,
            "bytes",
            16,
            format!("sum by (term) (memory_ledger_bytes{all})"),
        )
        .about("Live heap, what the allocator keeps, stacks, files, and what cannot be seen.")
        .named("{{term}}"),
        Panel::new(
            "Live heap in RSS",
            Kind::Lines,
            "percentunit",
            8,
            format!("memory_heap_bytes{all} / memory_rss_bytes{all}"),
        )
        .about("Low or falling: fragmentation, C code or mapped files grow, not this heap."),
    ]
}

fn forecast(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new("Time to the limit", Kind::Lines, "s", 12, format!("memory_exhaustion_seconds{all} < +Inf"))
            .about("Expected, and the interval's ends. No line: the limit is not met.")
            .named("{{bound}} {{instance}}"),
        Panel::new(
            "Resident memory in 4 hours, if growth stays",
            Kind::Lines,
            "bytes",
            12,
            format!("predict_linear(memory_rss_bytes{all}[1h], 4 * 3600)"),
        )
        .about(
            "A straight line through the last hour: a plain check on the process's own forecast. Wrong after a deploy.",
        )
        .named("in 4 h {{instance}}")
        .and(format!("memory_limit_bytes{all}"), "limit {{instance}}")
        .and(format!("memory_peak_bytes{all}"), "peak so far {{instance}}"),
    ]
}

fn recorder(s: &Selector) -> Vec<Panel> {
    let all = s.all();
    vec![
        Panel::new("Samples", Kind::Lines, "ops", 6, format!("rate(heapwatch_samples_total{all}[$__rate_interval])"))
            .about("Allocations recorded a second."),
        Panel::new(
            "Samples lost",
            Kind::Lines,
            "ops",
            6,
            format!("sum by (cause) (rate(heapwatch_dropped_samples_total{all}[$__rate_interval]))"),
        )
        .about("By cause. Bytes of a lost sample are given to the next.")
        .named("{{cause}}"),
        Panel::new("Stacks cut", Kind::Lines, "percentunit", 4, format!("heapwatch_truncated_stacks_ratio{all}"))
            .about("Share of stacks that could not be walked to the end.")
            .steps(0.1, 0.2),
        Panel::new("Memory of heapwatch", Kind::Lines, "bytes", 4, format!("heapwatch_own_bytes{all}"))
            .about("What heapwatch itself holds."),
        Panel::new(
            "Time of heapwatch",
            Kind::Lines,
            "percentunit",
            4,
            format!("rate(heapwatch_cpu_seconds_total{all}[$__rate_interval])"),
        )
        .about("Share of one core that its collector uses."),
    ]
}
