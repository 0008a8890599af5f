//! `heapwatch leak`: does the series leak, since when, how fast, how sure.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use heapwatch::analyze::leak::{self, LeakOptions, LeakVerdict};
use heapwatch::analyze::severity::Severity;
use heapwatch::{Error, Result};

use crate::series::{Format, Input, format_or_default, print};

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Detector {
    /// Competing explanations and a fitted judge
    Model,
    /// The rules of thumb of monitoring guides
    Rules,
}

/// The least severity for exit status 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Args)]
pub struct LeakArgs {
    #[command(flatten)]
    input: Input,
    /// Memory limit in bytes; gives the time at which it is met
    #[arg(long, value_name = "BYTES")]
    limit: Option<f64>,
    /// Standard deviation of one row's sampling error, in bytes
    #[arg(long, value_name = "BYTES")]
    noise: Option<f64>,
    #[arg(long, value_enum, default_value = "model")]
    detector: Detector,
    /// Exit with status 1 when a leak of this severity or worse is found
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub fn run(args: &LeakArgs) -> Result<ExitCode> {
    let series = args.input.read()?;
    let options = LeakOptions { limit_bytes: args.limit, noise_bytes: args.noise, ..LeakOptions::default() };
    let verdict = match args.detector {
        Detector::Model => leak::detect(&series, &options),
        Detector::Rules => leak::rules::detect(&series, &options),
    };
    print(&rendered(&verdict, format_or_default(args.format))?)?;
    let failed = args.fail_on.is_some_and(|least| verdict.severity >= severity(least));
    Ok(ExitCode::from(u8::from(failed)))
}

pub fn severity(least: FailOn) -> Severity {
    match least {
        FailOn::Low => Severity::Low,
        FailOn::Medium => Severity::Medium,
        FailOn::High => Severity::High,
        FailOn::Critical => Severity::Critical,
    }
}

fn rendered(verdict: &LeakVerdict, format: Format) -> Result<String> {
    match format {
        Format::Json => {
            let text =
                serde_json::to_string_pretty(verdict).map_err(|e| Error::cannot_write("the verdict", e.into()))?;
            Ok(text + "\n")
        }
        Format::Csv => Ok(csv(verdict)),
        Format::Text => Ok(text(verdict)),
    }
}

/// One row for the verdict, then one for each alarm.
fn csv(v: &LeakVerdict) -> String {
    let or_empty = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.0}"));
    let mut out = "row,leak,confidence,rate_bytes_per_hour,rate_lower,rate_upper,onset_s,exhaustion_s,severity,at_s,cleared_at_s\n".to_owned();
    let _ = writeln!(
        out,
        "verdict,{},{:.4},{:.0},{:.0},{:.0},{},{},{},,",
        v.leak,
        v.confidence,
        v.rate_bytes_per_hour,
        v.rate_lower,
        v.rate_upper,
        or_empty(v.onset_s),
        or_empty(v.exhaustion_s),
        v.severity.name(),
    );
    for alarm in &v.alarms {
        let _ = writeln!(out, "alarm,,,,,,,,,{:.0},{}", alarm.at_s, or_empty(alarm.cleared_at_s));
    }
    out
}

fn text(v: &LeakVerdict) -> String {
    const MB: f64 = 1e6;
    let mut out = String::new();
    let named = if v.leak { format!("leak ({})", v.severity.name()) } else { "no leak".to_owned() };
    let _ = writeln!(out, "{named}, probability {:.2}", v.confidence);
    if v.leak {
        let (low, high) = (v.rate_lower / MB, v.rate_upper / MB);
        let _ = writeln!(out, "growth     {:.3} MB/h ({low:.3} to {high:.3})", v.rate_bytes_per_hour / MB);
        let _ = writeln!(out, "since      {}", v.onset.as_deref().unwrap_or("unknown"));
        let _ = writeln!(out, "limit met  {}", v.exhaustion.as_deref().unwrap_or("no limit given"));
    }
    if let Some(missing) = &v.insufficient {
        let _ = writeln!(out, "not enough data: {missing}");
    }
    for line in &v.evidence {
        let _ = writeln!(out, "- {line}");
    }
    for alarm in &v.alarms {
        let cleared = alarm.cleared_at.as_deref().map_or("stands".to_owned(), |t| format!("cleared {t}"));
        let _ = writeln!(out, "alarm      {}, {cleared}", alarm.at.as_deref().unwrap_or("?"));
    }
    let _ = writeln!(out, "refuted by {}", v.refuted_by);
    out
}
