//! Files that put a service under observation: objects for a cluster, or a stack for one machine.
//!
//! The cluster's objects find the service's pods by a label and leave its Deployment alone. The stack is Docker Compose with the
//! service, Prometheus, Grafana and an OpenTelemetry Collector, each provisioned with the same rules and dashboard. Nothing is
//! applied or started.

mod compose;
mod kubernetes;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::export::rules::Rules;
use crate::export::sizing_yaml;
use crate::export::subject::Subject;

/// How often metrics are scraped.
const SCRAPE_INTERVAL: &str = "30s";

/// How a cluster's Prometheus finds the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Monitor {
    /// Through a Service of its own, which is written too.
    #[default]
    Service,
    /// Pod by pod; no Service is needed.
    Pod,
}

/// How a stack's Prometheus gets the service's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// It scrapes the service.
    #[default]
    Scrape,
    /// The service sends OTLP to the collector, and the collector is scraped.
    Otlp,
}

/// What the files depend on beside the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Port of `/metrics`. Default 8001.
    pub port: u16,
    /// Label of the service's pods. Default: `app.kubernetes.io/name` with the service's name.
    pub pod_label: Option<(String, String)>,
    /// How a cluster finds the service. Default: through a Service.
    pub monitor: Monitor,
    /// Secret and key of the bearer token, where the endpoints ask for one. Default: none.
    pub token_secret: Option<(String, String)>,
    /// The service's image in a stack. Default: `SERVICE:latest`.
    pub image: Option<String>,
    /// How a stack's metrics travel. Default: scraped.
    pub transport: Transport,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 8001,
            pod_label: None,
            monitor: Monitor::default(),
            token_secret: None,
            image: None,
            transport: Transport::default(),
        }
    }
}

impl Options {
    fn pod_label<'a>(&'a self, subject: &'a Subject) -> (&'a str, &'a str) {
        let own = ("app.kubernetes.io/name", subject.service.as_str());
        self.pod_label.as_ref().map_or(own, |(name, value)| (name.as_str(), value.as_str()))
    }

    fn image(&self, subject: &Subject) -> String {
        self.image.clone().unwrap_or_else(|| format!("{}:latest", subject.service))
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it goes, below a common folder.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Objects for a cluster, below `kubernetes/`, one a file.
///
/// # Errors
/// A port of 0, and what cannot be written as YAML.
pub fn kubernetes(subject: &Subject, options: &Options, rules: &Rules) -> Result<Vec<File>> {
    check(options)?;
    kubernetes::objects(subject, options, rules).iter().map(|(path, object)| yaml(path, object)).collect()
}

/// A stack for one machine, below `compose/`: `docker compose up` in that folder starts it.
///
/// # Errors
/// A port of 0, and what cannot be written as YAML.
pub fn compose(subject: &Subject, options: &Options, rules: &Rules) -> Result<Vec<File>> {
    check(options)?;
    let dashboard = File {
        path: format!("compose/grafana/dashboards/{}.json", subject.service),
        text: crate::export::dashboard::document(subject).to_string() + "\n",
    };
    let rules = (String::from("compose/rules/heapwatch.yaml"), rules.document());
    let documents = compose::documents(subject, options).into_iter().chain([rules]);
    let files = documents.map(|(path, document)| yaml(&path, &document)).chain([Ok(dashboard)]);
    files.collect()
}

fn check(options: &Options) -> Result<()> {
    if options.port == 0 { Err(Error::config("the port of the metrics must not be 0")) } else { Ok(()) }
}

fn yaml(path: &str, document: &Value) -> Result<File> {
    Ok(File { path: path.to_owned(), text: sizing_yaml::document(document)? })
}
