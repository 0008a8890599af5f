//! The arguments that reach a live process, and documents from wherever they are: a process, a file, a folder of dumps.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use heapwatch::export::{dump, pprof};
use heapwatch::source::endpoint::{Endpoint, Memory};
use heapwatch::{Error, Report, Result};

use crate::prometheus::duration;

/// The largest file that is read: as much as a live process may answer.
const MAX_FILE_BYTES: u64 = 64 << 20;
const REPORT: &str = "/api/debug/memory/leaks";

/// Who asks a live process.
#[derive(Debug, Args)]
pub struct Access {
    /// File whose content is sent to the live process as bearer token; else $HEAPWATCH_TOKEN is
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Who asks a live process, and for how long.
#[derive(Debug, Args)]
pub struct Reader {
    #[command(flatten)]
    access: Access,
    /// How long the live process may take to answer
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "20s")]
    timeout: Duration,
}

/// Which memory of a live process is the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OfProcess {
    /// Exact live bytes of the wrapped allocator
    Heap,
    /// Resident set
    Rss,
    /// What counts against the limit
    Usage,
}

impl From<OfProcess> for Memory {
    fn from(memory: OfProcess) -> Memory {
        match memory {
            OfProcess::Heap => Memory::Heap,
            OfProcess::Rss => Memory::Rss,
            OfProcess::Usage => Memory::Usage,
        }
    }
}

/// What a source holds.
pub enum Document {
    Report(Box<Report>),
    Profile(pprof::Profile),
}

impl Access {
    pub fn endpoint(&self, url: &str, timeout: Duration) -> Result<Endpoint> {
        let token = match &self.token_file {
            Some(path) => {
                let read = fs::read_to_string(path).map_err(|e| Error::cannot_read(&path.display().to_string(), e));
                Some(read?)
            }
            None => std::env::var("HEAPWATCH_TOKEN").ok(),
        };
        Endpoint::new(url, token.as_deref(), timeout)
    }
}

impl Reader {
    pub fn endpoint(&self, url: &str) -> Result<Endpoint> {
        self.access.endpoint(url, self.timeout)
    }

    /// The report of `source`: an address, a dump, a folder of dumps (its newest), or `-`.
    pub fn report(&self, source: &str) -> Result<Report> {
        let (bytes, name) = self.bytes(source)?;
        report(bytes, &name)
    }

    /// The report or the profile of `source`.
    pub fn document(&self, source: &str) -> Result<Document> {
        let (bytes, name) = self.bytes(source)?;
        let is_json = bytes.iter().find(|b| !b.is_ascii_whitespace()).is_none_or(|b| *b == b'{');
        match is_json {
            true => Ok(Document::Report(Box::new(report(bytes, &name)?))),
            false => Ok(Document::Profile(pprof::read(&bytes, &name)?)),
        }
    }

    fn bytes(&self, source: &str) -> Result<(Vec<u8>, String)> {
        if source.contains("://") {
            let endpoint = self.endpoint(source)?;
            let path = if names_a_path(source) { "" } else { REPORT };
            return Ok((endpoint.get(path)?, format!("{}{path}", endpoint.url())));
        }
        if source == "-" {
            let name = "standard input".to_owned();
            return Ok((bounded(io::stdin().lock(), &name)?, name));
        }
        let path = if Path::new(source).is_dir() { dump::newest(Path::new(source))? } else { PathBuf::from(source) };
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|e| Error::cannot_read(&name, e))?;
        Ok((bounded(file, &name)?, name))
    }
}

fn report(bytes: Vec<u8>, name: &str) -> Result<Report> {
    let not_text =
        |_| Error::cannot_read(name, io::Error::other("it is no text; a dump or the address of a process is expected"));
    Report::from_json(&String::from_utf8(bytes).map_err(not_text)?, name)
}

/// Whether the address goes beyond the process: then it is asked for as it stands.
fn names_a_path(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.split_once('/').is_some_and(|(_, path)| !path.is_empty())
}

fn bounded(input: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|e| Error::cannot_read(name, e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let why = io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes, so it is no dump"));
        return Err(Error::cannot_read(name, why));
    }
    Ok(bytes)
}

/// Text that a terminal may show: what a file or a peer says cannot move the cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
