//! `heapwatch anomaly`: a point a row as rows come in, then the anomalies, seasons and baseline.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use heapwatch::analyze::anomaly::report::{AnomalyRecord, PointRecord, SCHEMA, Summary, Summing};
use heapwatch::analyze::anomaly::{AnomalyDetector, Config, Severity};
use heapwatch::{Error, Result};

use crate::series::{Format, Input, format_or_default};

/// Bytes held back before the first is printed: an input that fails early prints nothing.
const HELD_BACK: usize = 4 << 20;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    input: Input,
    /// How to print; text on a terminal, else JSON
    #[arg(long)]
    format: Option<Format>,
    /// Continue from this file if it exists, and save the state to it at the end
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Exit with status 1 if there is an anomaly at least this severe
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Least>,
}

/// A severity as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Least {
    Low,
    Medium,
    High,
    Critical,
}

impl Least {
    fn severity(self) -> Severity {
        match self {
            Least::Low => Severity::Low,
            Least::Medium => Severity::Medium,
            Least::High => Severity::High,
            Least::Critical => Severity::Critical,
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut detector = match &arguments.state {
        Some(path) => restored(path)?,
        None => AnomalyDetector::new(Config::default()),
    };
    let mut summing = Summing::default();
    let format = format_or_default(arguments.format);
    let mut out = BufWriter::with_capacity(HELD_BACK, io::stdout().lock());
    let printed = print(&mut out, format, arguments, &mut detector, &mut summing);
    if printed.is_err() {
        let _unprinted = out.into_parts();
    }
    printed?;
    if let Some(path) = &arguments.state {
        save(path, &detector)?;
    }
    let failed = arguments.fail_on.is_some_and(|l| summing.worst(&detector) >= Some(l.severity()));
    Ok(ExitCode::from(u8::from(failed)))
}

fn print(
    out: &mut impl Write,
    format: Format,
    arguments: &Arguments,
    detector: &mut AnomalyDetector,
    summing: &mut Summing,
) -> Result<()> {
    let rows = arguments.input.rows()?;
    let mut writing = written(head(out, format))?;
    for (i, row) in rows.enumerate() {
        let row = row?;
        let (point, ended) = detector.push(row.time_s, row.value);
        summing.push(&point, ended);
        if writing && format != Format::Text {
            writing = written(record(out, format, i, &PointRecord::from(&point)))?;
        }
    }
    written(tail(out, format, &summing.finish(detector)).and_then(|()| out.flush())).map(|_| ())
}

/// False when the reader has gone away, which is no error: the state is still brought up to date.
fn written(done: io::Result<()>) -> Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::cannot_write("standard output", e)),
    }
}

fn head(out: &mut impl Write, format: Format) -> io::Result<()> {
    match format {
        Format::Json => write!(out, "{{\"schema\":\"{SCHEMA}\",\"points\":["),
        Format::Csv => {
            writeln!(out, "timestamp_s,timestamp,value,expected,lower,upper,score,anomaly,severity,treatment")
        }
        Format::Text => Ok(()),
    }
}

fn record(out: &mut impl Write, format: Format, i: usize, point: &PointRecord) -> io::Result<()> {
    if format == Format::Json {
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        return Ok(serde_json::to_writer(out, point)?);
    }
    let number = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
    writeln!(
        out,
        "{},{},{},{},{},{},{},{},{},{}",
        number(point.timestamp_s),
        point.timestamp.as_deref().unwrap_or_default(),
        number(point.value),
        number(point.expected),
        number(point.lower),
        number(point.upper),
        point.score,
        point.anomaly,
        point.severity.map(word).unwrap_or_default(),
        point.treatment.map(word).unwrap_or_default(),
    )
}

fn tail(out: &mut impl Write, format: Format, summary: &Summary) -> io::Result<()> {
    match format {
        Format::Csv => Ok(()),
        Format::Text => text(out, summary),
        Format::Json => {
            let rest = serde_json::to_string(summary)?;
            writeln!(out, "\n],{}", rest.strip_prefix('{').unwrap_or(&rest))
        }
    }
}

fn text(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let input = &summary.input;
    let unusable = input.not_finite;
    let late = input.time_not_after_previous;
    writeln!(out, "{} rows, {unusable} not finite, {late} with a time not after the row before", input.rows)?;
    for s in &summary.seasonality {
        writeln!(out, "season of {} s, strength {:.2}", s.period_s, s.strength)?;
    }
    for a in &summary.anomalies {
        line(out, a)?;
    }
    match &summary.note {
        Some(note) => writeln!(out, "{note}"),
        None if summary.anomalies.is_empty() => writeln!(out, "no anomalies"),
        None => Ok(()),
    }
}

fn line(out: &mut impl Write, a: &AnomalyRecord) -> io::Result<()> {
    let time = |t: &Option<String>| t.clone().unwrap_or_default();
    writeln!(
        out,
        "{} {} from {} to {}, peak {} at {}",
        word(a.severity),
        word(a.kind),
        time(&a.start),
        time(&a.end),
        a.peak_value,
        time(&a.peak)
    )
}

/// A value's name in the documents.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

fn restored(path: &Path) -> Result<AnomalyDetector> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| Error::cannot_read(&name, e.into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(AnomalyDetector::new(Config::default())),
        Err(e) => Err(Error::cannot_read(&name, e)),
    }
}

/// Written whole beside the file, then renamed into place.
fn save(path: &Path, detector: &AnomalyDetector) -> Result<()> {
    let fail = |e: io::Error| Error::cannot_write(&path.display().to_string(), e);
    let bytes = serde_json::to_vec(detector).map_err(|e| fail(e.into()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path)).map_err(fail)
}
