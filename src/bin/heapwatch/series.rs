//! What the verbs over series share: where the series comes from, and how the answer is printed.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use crate::live::{Access, OfProcess};
use crate::prometheus::{Connection, Stretch};
use clap::{Args, ValueEnum};
use heapwatch::analyze::series::{Row, Series};
use heapwatch::source::csv;
use heapwatch::source::prometheus_api::read_series;
use heapwatch::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Json,
    Csv,
    Text,
}

/// Where a series comes from.
#[derive(Debug, Args)]
pub struct Input {
    #[command(flatten)]
    source: Source,
    /// What to ask that server for; must give one series
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    query: Option<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    stretch: Stretch,
    /// Which memory of the live process
    #[arg(long, value_enum, value_name = "MEMORY", default_value = "heap")]
    memory: OfProcess,
    #[command(flatten)]
    access: Access,
}

/// One of these must be given, and only one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// CSV with the header `timestamp,value[,load]`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Address of a Prometheus-compatible server
    #[arg(long, value_name = "URL", requires = "query")]
    prometheus: Option<String>,
    /// Address of a live process that serves its endpoints, such as http://127.0.0.1:8001
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Rows as they are read.
pub type Rows = Box<dyn Iterator<Item = Result<Row>>>;

impl Input {
    /// The whole series, repaired.
    pub fn read(&self) -> Result<Series> {
        if let Some(series) = self.remote()? {
            return Ok(series);
        }
        let (reader, name) = self.open()?;
        csv::read(reader, &name)
    }

    /// The rows one at a time, unrepaired, in constant memory.
    pub fn rows(&self) -> Result<Rows> {
        if let Some(series) = self.remote()? {
            let (times, values) = (series.times_s().to_vec(), series.values().to_vec());
            let row = |(time_s, value)| Ok(Row { time_s, value, load: None });
            return Ok(Box::new(times.into_iter().zip(values).map(row)));
        }
        let (reader, name) = self.open()?;
        Ok(Box::new(csv::rows(reader, &name)?))
    }

    /// The series of `--url` or `--prometheus`, when that is the source. What the server warns of goes to standard error.
    fn remote(&self) -> Result<Option<Series>> {
        if let Some(url) = &self.source.url {
            let endpoint = self.access.endpoint(url, self.connection.time_limit()?)?;
            return endpoint.history(self.memory.into()).map(Some);
        }
        let Some((url, query)) = self.source.prometheus.as_ref().zip(self.query.as_ref()) else { return Ok(None) };
        let (series, warnings) = read_series(&self.connection.client(url)?, query, self.stretch.range())?;
        warnings.iter().for_each(|w| eprintln!("heapwatch: {url} warns: {w}"));
        Ok(Some(series))
    }

    fn open(&self) -> Result<(Box<dyn Read>, String)> {
        match self.source.input.as_deref() {
            None => Err(Error::cannot_read("the series", io::Error::other("no source is given; try --input FILE"))),
            Some(path) if path.as_os_str() == "-" => Ok((Box::new(io::stdin()), "standard input".to_string())),
            Some(path) => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|e| Error::cannot_read(&name, e))?;
                Ok((Box::new(reading(file)), name))
            }
        }
    }
}

/// The file, with a bar that follows the reading.
pub fn reading(file: File) -> impl Read {
    let bytes = file.metadata().map_or(0, |m| m.len());
    progress(bytes).wrap_read(file)
}

/// A bar on standard error when that is a terminal and the file takes noticeable time; hidden elsewhere.
fn progress(bytes: u64) -> ProgressBar {
    const NOTICEABLE_BYTES: u64 = 16 << 20;
    if bytes < NOTICEABLE_BYTES {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
        Ok(style) => bar.with_style(style).with_finish(indicatif::ProgressFinish::AndClear),
        Err(_) => bar,
    }
}

/// Text on a terminal, JSON elsewhere, unless told.
pub fn format_or_default(asked: Option<Format>) -> Format {
    asked.unwrap_or(if io::stdout().is_terminal() { Format::Text } else { Format::Json })
}

/// A time as RFC 3339 in UTC, to the millisecond; `None` outside the years that it can say.
pub fn rfc3339(at_s: f64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond((at_s * 1000.0).round() as i64).ok()?;
    at_s.is_finite().then(|| at.to_string())
}

/// A document as JSON, with a newline.
pub fn document(document: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(document);
    text.map(|t| t + "\n").map_err(|e| Error::cannot_write("the document", io::Error::other(e)))
}

/// Prints a document whole. A reader that goes away early is not an error.
pub fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::cannot_write("standard output", e)),
        Ok(()) => Ok(()),
    }
}
