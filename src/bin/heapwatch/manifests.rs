//! `heapwatch manifests`: files that put a service under observation.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use heapwatch::Result;
use heapwatch::export::manifests::{self, File, Monitor, Options, Transport};
use heapwatch::export::rules::Rules;
use heapwatch::export::subject::Subject;

use crate::generated::{LimitArgs, SubjectArgs, pair, write_below};
use crate::series::print;

/// Kubernetes objects, and a Docker Compose stack with Prometheus, Grafana and an OpenTelemetry Collector
#[derive(Debug, Args)]
pub struct ManifestFiles {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Port of the metrics
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    port: u16,
    /// Label of the service's pods [default: app.kubernetes.io/name=SERVICE]
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pod_label: Option<(String, String)>,
    /// How a cluster's Prometheus finds the pods
    #[arg(long, value_enum, default_value = "service")]
    monitor: Finds,
    /// Secret and key of the bearer token that the endpoints ask for
    #[arg(long, value_name = "SECRET=KEY", value_parser = pair)]
    token_secret: Option<(String, String)>,
    /// The service's image in the stack [default: SERVICE:latest]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// How metrics travel in the stack
    #[arg(long, value_enum, default_value = "scrape")]
    transport: Travel,
    /// What is written [default: kubernetes when printed, both below a folder]
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Write files below this folder instead of printing them
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Finds {
    Service,
    Pod,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Travel {
    Scrape,
    Otlp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Kubernetes,
    Compose,
}

impl ManifestFiles {
    pub fn run(&self) -> Result<ExitCode> {
        let subject = self.subject.subject()?;
        let rules = self.limits.rules(&subject)?;
        match &self.out {
            Some(dir) => {
                let files = self.files(&subject, &rules, self.only)?;
                write_below(dir, files.iter().map(|f| (f.path.as_str(), f.text.as_str())))?;
            }
            None => {
                // One stream that `kubectl apply -f -` takes must hold nothing else.
                let files = self.files(&subject, &rules, Some(self.only.unwrap_or(Part::Kubernetes)))?;
                print(&files.iter().map(stream).collect::<String>())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn files(&self, subject: &Subject, rules: &Rules, only: Option<Part>) -> Result<Vec<File>> {
        let options = self.options();
        let mut files = Vec::new();
        if only != Some(Part::Compose) {
            files.extend(manifests::kubernetes(subject, &options, rules)?);
        }
        if only != Some(Part::Kubernetes) {
            files.extend(manifests::compose(subject, &options, rules)?);
        }
        Ok(files)
    }

    fn options(&self) -> Options {
        Options {
            port: self.port,
            pod_label: self.pod_label.clone(),
            monitor: match self.monitor {
                Finds::Service => Monitor::Service,
                Finds::Pod => Monitor::Pod,
            },
            token_secret: self.token_secret.clone(),
            image: self.image.clone(),
            transport: match self.transport {
                Travel::Scrape => Transport::Scrape,
                Travel::Otlp => Transport::Otlp,
            },
        }
    }
}

/// A document of a stream, with its place as a comment.
fn stream(file: &File) -> String {
    let text = file.text.strip_prefix("---\n").unwrap_or(&file.text);
    format!("---\n# {}\n{text}", file.path)
}
