//! A stack for one machine: the service, Prometheus, Grafana and an OpenTelemetry Collector.
//!
//! Published ports are bound to loopback: the metrics say much about the code, and Grafana is open to whoever reaches it.
//! Versions are pinned, so that the stack of today is the stack of next year.

use serde_json::{Value, json};

use super::{Options, SCRAPE_INTERVAL, Transport};
use crate::export::subject::Subject;

const PROMETHEUS_IMAGE: &str = "prom/prometheus:v2.53.0";
const GRAFANA_IMAGE: &str = "grafana/grafana:11.6.0";
const COLLECTOR_IMAGE: &str = "otel/opentelemetry-collector-contrib:0.128.0";

const PROMETHEUS_PORT: u16 = 9090;
const GRAFANA_PORT: u16 = 3000;
const OTLP_GRPC_PORT: u16 = 4317;
const OTLP_HTTP_PORT: u16 = 4318;
/// Where the collector shows what it was sent.
const COLLECTED_PORT: u16 = 8889;

const COLLECTOR: &str = "otel-collector";

/// All documents but rules and dashboard, with their places.
pub fn documents(subject: &Subject, options: &Options) -> Vec<(String, Value)> {
    let files = [
        ("docker-compose.yaml", stack(subject, options)),
        ("prometheus.yml", prometheus(subject, options)),
        ("otel-collector.yaml", collector()),
        ("grafana/provisioning/datasources/heapwatch.yaml", datasource()),
        ("grafana/provisioning/dashboards/heapwatch.yaml", dashboards()),
    ];
    files.into_iter().map(|(path, document)| (format!("compose/{path}"), document)).collect()
}

fn published(port: u16) -> String {
    format!("127.0.0.1:{port}:{port}")
}

fn stack(subject: &Subject, options: &Options) -> Value {
    json!({
        "services": {
            subject.service.as_str(): service(subject, options),
            "prometheus": {
                "image": PROMETHEUS_IMAGE,
                "command": ["--config.file=/etc/prometheus/prometheus.yml"],
                "ports": [published(PROMETHEUS_PORT)],
                "volumes": ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro", "./rules:/etc/prometheus/rules:ro"],
            },
            "grafana": {
                "image": GRAFANA_IMAGE,
                "environment": { "GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer" },
                "ports": [published(GRAFANA_PORT)],
                "volumes": [
                    "./grafana/provisioning:/etc/grafana/provisioning:ro",
                    "./grafana/dashboards:/var/lib/grafana/dashboards:ro",
                ],
                "depends_on": ["prometheus"],
            },
            COLLECTOR: {
                "image": COLLECTOR_IMAGE,
                "command": ["--config=/etc/otel/config.yaml"],
                "ports": [published(OTLP_GRPC_PORT), published(OTLP_HTTP_PORT)],
                "volumes": ["./otel-collector.yaml:/etc/otel/config.yaml:ro"],
            },
        },
    })
}

/// Inside its own network the service must listen to others than itself.
fn service(subject: &Subject, options: &Options) -> Value {
    json!({
        "image": options.image(subject),
        "environment": {
            "HEAPWATCH_SERVICE": subject.service,
            "HEAPWATCH_SERVE": format!("0.0.0.0:{}", options.port),
            "OTEL_EXPORTER_OTLP_ENDPOINT": format!("http://{COLLECTOR}:{OTLP_GRPC_PORT}"),
        },
        "ports": [published(options.port)],
    })
}

fn prometheus(subject: &Subject, options: &Options) -> Value {
    json!({
        "global": { "scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": "15s" },
        "rule_files": ["/etc/prometheus/rules/*.yaml"],
        "scrape_configs": scrapes(subject, options),
    })
}

/// With OTLP the collector's series keep the job that they were sent with, and the service is not scraped besides: the same
/// series would be there twice.
fn scrapes(subject: &Subject, options: &Options) -> Vec<Value> {
    let labels = subject.namespace.as_ref().map(|n| json!({ "namespace": n }));
    let targets = |target: String| match &labels {
        Some(labels) => json!([{ "targets": [target], "labels": labels }]),
        None => json!([{ "targets": [target] }]),
    };
    let collector = json!({
        "job_name": COLLECTOR,
        "honor_labels": options.transport == Transport::Otlp,
        "static_configs": targets(format!("{COLLECTOR}:{COLLECTED_PORT}")),
    });
    let own = json!({
        "job_name": subject.job(),
        "metrics_path": "/metrics",
        "static_configs": targets(format!("{}:{}", subject.service, options.port)),
    });
    match options.transport {
        Transport::Scrape => vec![own, collector],
        Transport::Otlp => vec![collector],
    }
}

/// Memory is limited before batching, as the collector's authors ask.
fn collector() -> Value {
    json!({
        "receivers": { "otlp": { "protocols": {
            "grpc": { "endpoint": format!("0.0.0.0:{OTLP_GRPC_PORT}") },
            "http": { "endpoint": format!("0.0.0.0:{OTLP_HTTP_PORT}") },
        } } },
        "processors": {
            "memory_limiter": { "check_interval": "1s", "limit_mib": 256, "spike_limit_mib": 64 },
            "batch": {},
        },
        "exporters": {
            "prometheus": { "endpoint": format!("0.0.0.0:{COLLECTED_PORT}"), "enable_open_metrics": true },
            "debug": { "verbosity": "basic" },
        },
        "service": { "pipelines": { "metrics": {
            "receivers": ["otlp"],
            "processors": ["memory_limiter", "batch"],
            "exporters": ["prometheus", "debug"],
        } } },
    })
}

fn datasource() -> Value {
    let url = format!("http://prometheus:{PROMETHEUS_PORT}");
    let source = json!({
        "name": "Prometheus", "type": "prometheus", "uid": "prometheus", "access": "proxy", "url": url, "isDefault": true,
    });
    json!({ "apiVersion": 1, "datasources": [source] })
}

fn dashboards() -> Value {
    let provider = json!({
        "name": "heapwatch", "folder": "Memory", "type": "file",
        "options": { "path": "/var/lib/grafana/dashboards" },
    });
    json!({ "apiVersion": 1, "providers": [provider] })
}
