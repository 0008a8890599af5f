//! `heapwatch dashboard`: a Grafana dashboard.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use heapwatch::{Result, export};

use crate::generated::{SubjectArgs, write_below};
use crate::series::{document, print};

/// A Grafana dashboard, as JSON
#[derive(Debug, Args)]
pub struct DashboardFile {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Write SERVICE.dashboard.json into this folder instead of printing it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl DashboardFile {
    pub fn run(&self) -> Result<ExitCode> {
        let subject = self.subject.subject()?;
        let text = document(&export::dashboard::document(&subject))?;
        match &self.out {
            Some(dir) => write_below(dir, [(format!("{}.dashboard.json", subject.service).as_str(), text.as_str())])?,
            None => print(&text)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
