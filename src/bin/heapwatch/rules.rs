//! `heapwatch rules`: alert and recording rules for Prometheus.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use heapwatch::Result;
use heapwatch::export::sizing_yaml;

use crate::generated::{Form, LimitArgs, SubjectArgs, write_below};
use crate::series::{document, print};

/// Alert and recording rules for Prometheus
#[derive(Debug, Args)]
pub struct RuleFile {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// How the rules are written
    #[arg(long, value_enum, default_value = "yaml")]
    format: Form,
    /// Write SERVICE.rules.yaml (or .json) into this folder instead of printing it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl RuleFile {
    pub fn run(&self) -> Result<ExitCode> {
        let subject = self.subject.subject()?;
        let rules = self.limits.rules(&subject)?.document();
        let (text, ending) = match self.format {
            Form::Yaml => (sizing_yaml::document(&rules)?, "yaml"),
            Form::Json => (document(&rules)?, "json"),
        };
        match &self.out {
            Some(dir) => write_below(dir, [(format!("{}.rules.{ending}", subject.service).as_str(), text.as_str())])?,
            None => print(&text)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
