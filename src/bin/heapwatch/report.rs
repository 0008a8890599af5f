//! `heapwatch report`: the leak report of a live process or of a dump.

use std::process::ExitCode;

use clap::Args;
use heapwatch::Result;

use crate::leak::{FailOn, severity};
use crate::live::{Reader, printable};
use crate::series::{Format, format_or_default, print};

#[derive(Debug, Args)]
pub struct Arguments {
    /// A dump, a folder of dumps (its newest is taken), `-`, or the address of a live process
    #[arg(value_name = "SOURCE", required_unless_present = "url", conflicts_with = "url")]
    source: Option<String>,
    /// Address of a live process that serves its endpoints, such as http://127.0.0.1:8001
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    reader: Reader,
    /// Exit with status 1 when there is a leak of this severity or worse
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// How to print; text on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub fn run(args: &Arguments) -> Result<ExitCode> {
    let source = args.url.as_ref().or(args.source.as_ref());
    let report = args.reader.report(source.map_or("-", String::as_str))?;
    print(&match format_or_default(args.format) {
        Format::Json => report.to_json() + "\n",
        Format::Csv => report.to_csv(),
        Format::Text => printable(&report.to_text()),
    })?;
    let failed = args.fail_on.is_some_and(|least| report.worst() >= severity(least));
    Ok(ExitCode::from(u8::from(failed)))
}
