//! Objects for a cluster with the Prometheus operator, and Grafana's sidecar that loads dashboards from config maps.
//!
//! Either a Service with a ServiceMonitor, or a PodMonitor: with both every series would be scraped twice. The scrape names the
//! job itself, so that rules and dashboards select the same series whatever the objects are called.

use serde_json::{Map, Value, json};

use super::{Monitor, Options};
use crate::export::dashboard;
use crate::export::rules::Rules;
use crate::export::subject::Subject;

const MONITORING: &str = "monitoring.coreos.com/v1";

/// All objects with the names of their files.
pub fn objects(subject: &Subject, options: &Options, rules: &Rules) -> Vec<(String, Value)> {
    let monitor = match options.monitor {
        Monitor::Service => vec![
            ("service.yaml", service(subject, options)),
            ("servicemonitor.yaml", service_monitor(subject, options)),
        ],
        Monitor::Pod => vec![("podmonitor.yaml", pod_monitor(subject, options))],
    };
    let rest = [("prometheusrule.yaml", prometheus_rule(subject, rules)), ("dashboard.yaml", config_map(subject))];
    monitor.into_iter().chain(rest).map(|(file, object)| (format!("kubernetes/{file}"), object)).collect()
}

fn object(subject: &Subject, (api_version, kind): (&str, &str), name: &str, more: &[(&str, &str)]) -> Value {
    let own = [("app.kubernetes.io/name", subject.service.as_str()), ("app.kubernetes.io/managed-by", "heapwatch")];
    let given = subject.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels: Map<String, Value> =
        given.chain(own).chain(more.iter().copied()).map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let mut metadata = json!({ "name": format!("{}-{name}", subject.service), "labels": labels });
    if let Some(namespace) = &subject.namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata })
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

fn pods(options: &Options, subject: &Subject) -> Value {
    let (name, value) = options.pod_label(subject);
    json!({ name: value })
}

fn service(subject: &Subject, options: &Options) -> Value {
    let port = json!({ "name": "metrics", "port": options.port, "targetPort": options.port, "protocol": "TCP" });
    let spec = json!({ "selector": pods(options, subject), "ports": [port] });
    with(object(subject, ("v1", "Service"), "metrics", &[]), "spec", spec)
}

/// How one target is scraped.
fn endpoint(subject: &Subject, options: &Options) -> Value {
    let job = json!({ "action": "replace", "targetLabel": "job", "replacement": subject.job() });
    let mut endpoint =
        json!({ "path": "/metrics", "interval": super::SCRAPE_INTERVAL, "scheme": "http", "relabelings": [job] });
    if let Some((name, key)) = &options.token_secret {
        let credentials = json!({ "name": name, "key": key });
        endpoint["authorization"] = json!({ "type": "Bearer", "credentials": credentials });
    }
    endpoint
}

fn service_monitor(subject: &Subject, options: &Options) -> Value {
    let endpoint = with(endpoint(subject, options), "port", json!("metrics"));
    let labels = json!({ "app.kubernetes.io/name": subject.service, "app.kubernetes.io/managed-by": "heapwatch" });
    let spec = json!({ "selector": { "matchLabels": labels }, "endpoints": [endpoint] });
    with(object(subject, (MONITORING, "ServiceMonitor"), "memory", &[]), "spec", spec)
}

/// Pods often do not declare the port, so it is given by number.
fn pod_monitor(subject: &Subject, options: &Options) -> Value {
    let endpoint = with(endpoint(subject, options), "portNumber", json!(options.port));
    let spec = json!({ "selector": { "matchLabels": pods(options, subject) }, "podMetricsEndpoints": [endpoint] });
    with(object(subject, (MONITORING, "PodMonitor"), "memory", &[]), "spec", spec)
}

fn prometheus_rule(subject: &Subject, rules: &Rules) -> Value {
    with(object(subject, (MONITORING, "PrometheusRule"), "memory", &[]), "spec", rules.document())
}

fn config_map(subject: &Subject) -> Value {
    let file = format!("{}.dashboard.json", subject.service);
    let data = json!({ file: dashboard::document(subject).to_string() });
    with(object(subject, ("v1", "ConfigMap"), "memory-dashboard", &[("grafana_dashboard", "1")]), "data", data)
}
