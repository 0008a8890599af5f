//! A Grafana dashboard for one service, as JSON that Grafana imports or is provisioned with.
//!
//! Nine sections in the order in which somebody on call asks: is it near its limit, does it grow, what leaks, of which type, by
//! which endpoint, how does it allocate, where is the rest, when does it end, and can the figures be trusted. Data source, job
//! and instance are variables. Every panel has a unit and a description. Queries use canonical names only, so they
//! work with classic names off.

mod panel;
mod sections;

use serde_json::{Value, json};

pub use panel::{Kind, Panel, Query};

use crate::export::subject::Subject;

/// Version of Grafana's dashboard schema that the document is written in.
const SCHEMA_VERSION: u64 = 39;

/// The dashboard of a service.
pub fn document(subject: &Subject) -> Value {
    json!({
        "uid": format!("heapwatch-{}", subject.service),
        "title": format!("Memory of {}", subject.service),
        "description": "What grows, how sure that is, and when the memory limit is met. Made by heapwatch.",
        "tags": ["heapwatch", "memory"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": variables(subject) },
        "annotations": { "list": annotations(subject) },
        "links": [],
        "panels": panels(subject),
    })
}

/// Every section with its panels.
pub fn sections(subject: &Subject) -> Vec<(&'static str, Vec<Panel>)> {
    sections::all(&Selector::new(subject))
}

/// Picks the series of the job and instance that the reader has chosen.
pub(crate) struct Selector {
    fixed: String,
}

impl Selector {
    fn new(subject: &Subject) -> Selector {
        let free = Subject { job: Some("$job".into()), ..subject.clone() };
        Selector { fixed: free.selector(r#"instance=~"$instance""#) }
    }

    /// The matchers, in braces.
    pub(crate) fn all(&self) -> &str {
        &self.fixed
    }

    /// With one more matcher.
    pub(crate) fn with(&self, more: &str) -> String {
        let open = self.fixed.strip_suffix('}').unwrap_or(&self.fixed);
        format!("{open},{more}}}")
    }
}

fn panels(subject: &Subject) -> Vec<Value> {
    let (mut out, mut y) = (Vec::new(), 0);
    for (title, panels) in sections(subject) {
        let (values, next) = panel::lay_out(title, panels, out.len() as u64 + 1, y);
        out.extend(values);
        y = next;
    }
    out
}

fn variables(subject: &Subject) -> Vec<Value> {
    let job = subject.job();
    let namespace = subject.namespace.as_deref().map(|n| format!("namespace=\"{n}\"")).unwrap_or_default();
    let jobs = format!("label_values(memory_rss_bytes{{{namespace}}}, job)");
    let instances = format!("label_values(memory_rss_bytes{}, instance)", Selector::of_job(subject));
    vec![
        json!({
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "hide": 0, "refresh": 1, "regex": "", "multi": false, "includeAll": false,
        }),
        query_variable("job", "Job", &jobs, json!({ "text": job, "value": job, "selected": true }), false),
        query_variable("instance", "Instance", &instances, json!({ "text": "All", "value": "$__all" }), true),
    ]
}

impl Selector {
    fn of_job(subject: &Subject) -> String {
        Subject { job: Some("$job".into()), ..subject.clone() }.selector("")
    }
}

/// A choice of label values, read anew whenever the time range changes. `several`: more than one, or all, may be chosen.
fn query_variable(name: &str, label: &str, query: &str, current: Value, several: bool) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": panel::datasource(),
        "query": { "query": query, "refId": name },
        "current": current, "multi": several, "includeAll": several,
        "hide": 0, "refresh": 2, "sort": 1, "regex": "", "skipUrlSync": false, "options": [],
    })
}

fn annotations(subject: &Subject) -> Vec<Value> {
    let s = Selector::new(subject);
    let restarts = format!("changes(process_start_time_seconds{}[2m]) > 0", s.all());
    let firing = format!("ALERTS{}", s.with(r#"alertstate="firing""#));
    let one = |name: &str, expr: String, title: &str, color: &str| {
        json!({
            "name": name, "enable": true, "iconColor": color, "datasource": panel::datasource(),
            "expr": expr, "titleFormat": title, "textFormat": "{{instance}}", "step": "60s",
        })
    };
    vec![one("Alerts", firing, "{{alertname}}", "red"), one("Restarts", restarts, "Restart", "blue")]
}
