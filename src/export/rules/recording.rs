//! Series computed once and used by dashboards, alerts and whoever asks about a fleet.
//!
//! Names follow `level:metric:operations`. Each keeps the labels of its instance unless the level says `job`.

use serde_json::{Value, json};

use crate::export::subject::Subject;

/// RSS averaged over 5 minutes: smooth enough that a fall of it is a fall.
pub const SMOOTH_RSS: &str = "instance:memory_rss_bytes:avg5m";

/// Samples that thinning took on purpose are no loss: the weights of the others make up for them.
pub const LOST: &str = r#"cause!="thinned""#;

/// A rule that records a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    name: &'static str,
    expr: String,
}

impl Recording {
    /// As it stands in a rule file.
    pub fn into_value(self) -> Value {
        json!({ "record": self.name, "expr": self.expr })
    }
}

/// All recording rules of a service.
pub fn rules(subject: &Subject) -> Vec<Recording> {
    let s = subject.selector("");
    let lost = subject.selector(LOST);
    let rule = |name, expr| Recording { name, expr };
    vec![
        rule(SMOOTH_RSS, format!("avg_over_time(memory_rss_bytes{s}[5m])")),
        rule("instance:memory_rss_bytes:deriv1h", format!("deriv(memory_rss_bytes{s}[1h])")),
        rule("instance:memory_heap_to_rss:ratio", format!("memory_heap_bytes{s} / memory_rss_bytes{s}")),
        rule("instance:process_uptime:seconds", format!("time() - process_start_time_seconds{s}")),
        rule(
            "job_component:memory_allocated_bytes:rate5m",
            format!("sum by (job, component) (rate(memory_allocated_bytes_total{s}[5m]))"),
        ),
        rule(
            "job_endpoint:endpoint_memory_delta_bytes:p95_rate5m",
            format!(
                "histogram_quantile(0.95, sum by (job, endpoint, method, le) \
                 (rate(endpoint_memory_delta_bytes_bucket{s}[5m])))"
            ),
        ),
        rule(
            "job_endpoint:endpoint_memory_retained_bytes:sum",
            format!("sum by (job, endpoint, method) (endpoint_memory_retained_bytes{s})"),
        ),
        rule(
            "instance:heapwatch_dropped_samples:ratio_rate15m",
            format!(
                "sum without (cause) (rate(heapwatch_dropped_samples_total{lost}[15m])) / \
                 rate(heapwatch_samples_total{s}[15m])"
            ),
        ),
    ]
}
