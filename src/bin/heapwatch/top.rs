//! `heapwatch top`: the call sites of a live process that grow fastest or hold most, again and again.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use heapwatch::Result;
use heapwatch::export::report::Process;
use heapwatch::export::report::growth::{Growth, Order};
use heapwatch::source::endpoint::Endpoint;

use crate::live::{Reader, printable};
use crate::prometheus::duration;
use crate::series::{Format, print};

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Fastest growing first
    Growth,
    /// Largest first
    Live,
}

#[derive(Debug, Args)]
pub struct Arguments {
    /// Address of a live process that serves its endpoints, such as http://127.0.0.1:8001
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    reader: Reader,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", value_parser = duration, default_value = "2")]
    every: Duration,
    /// What growth is measured over, such as 15m
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "15m")]
    since: Duration,
    /// Which sites come first
    #[arg(long, value_enum, default_value = "growth")]
    by: By,
    /// Sites shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Look once; the default where the output is no terminal
    #[arg(long)]
    once: bool,
    /// How to print; JSON and CSV look once
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &Arguments) -> Result<ExitCode> {
    let endpoint = args.reader.endpoint(&args.url)?;
    if args.once || args.format != Format::Text || !io::stdout().is_terminal() {
        print(&look(&endpoint, args)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Until the process goes away or the user does.
    loop {
        print(&format!("{CLEAR}{}", look(&endpoint, args)?))?;
        std::thread::sleep(args.every);
    }
}

fn look(endpoint: &Endpoint, args: &Arguments) -> Result<String> {
    let path = format!("/api/debug/memory/growth?since={}", args.since.as_secs().max(1));
    let mut growth = Growth::from_json(&endpoint.text(&path)?, endpoint.url())?;
    growth.keep(if args.by == By::Live { Order::Live } else { Order::Growth }, args.top);
    Ok(match args.format {
        Format::Json => growth.to_json(),
        Format::Csv => growth.to_csv(),
        Format::Text => {
            let snapshot = endpoint.text("/api/debug/memory/snapshot?top=0")?;
            printable(&growth.to_text(&Process::from_snapshot_json(&snapshot, endpoint.url())?))
        }
    })
}
