//! What the verbs over series share: where the series comes from, and how the answer is printed.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use heapwatch::analyze::series::Series;
use heapwatch::{Error, Result};

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
    /// CSV with the header `timestamp,value[,load]`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
}

impl Input {
    pub fn read(&self) -> Result<Series> {
        if self.input.as_os_str() == "-" {
            return heapwatch::source::csv::read(io::stdin().lock(), "standard input");
        }
        let name = self.input.display().to_string();
        let file = File::open(&self.input).map_err(|e| Error::cannot_read(&name, e))?;
        heapwatch::source::csv::read(file, &name)
    }
}

/// Text on a terminal, JSON elsewhere, unless told.
pub fn format_or_default(asked: Option<Format>) -> Format {
    asked.unwrap_or(if io::stdout().is_terminal() { Format::Text } else { Format::Json })
}

/// Prints a document whole. A reader that goes away early is not an error.
pub fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::cannot_write("standard output", e)),
        Ok(()) => Ok(()),
    }
}
