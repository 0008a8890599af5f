//! `heapwatch capacity`: when memory runs out, and what would change that.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use heapwatch::analyze::capacity::{CapacityOptions, plan};
use heapwatch::analyze::sizing::fleet::{Fleet, FleetBuilder};
use heapwatch::analyze::what_if::{self, Scenario};
use heapwatch::export::capacity_report;
use heapwatch::source::{csv, usage_csv};
use heapwatch::{Error, Result};

use crate::k8s::FleetSource;
use crate::series::{Format, format_or_default, print, reading};

/// Plans memory: growth, time to each limit, headroom, what if.
#[derive(Debug, Args)]
pub struct Capacity {
    #[command(flatten)]
    source: FleetSource,
    /// Limit of the process, for a series without one, such as 2Gi
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit: Option<f64>,
    /// Days to look ahead
    #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
    horizon: f64,
    /// Memory that all nodes together can give to pods, such as 512Gi
    #[arg(long, value_name = "SIZE", value_parser = size)]
    allocatable: Option<f64>,
    /// Quota on memory requests
    #[arg(long, value_name = "SIZE", value_parser = size)]
    quota: Option<f64>,
    /// Scenario to try: `load=+20%`, `limit=4GiB`, `replicas=6`, `growth=-50%`, `fix=SITE` (`fix=leak` where no code is
    /// named), joined by commas; repeatable
    #[arg(long, value_name = "SCENARIO")]
    what_if: Vec<Scenario>,
    /// How the answer is printed; text on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub fn run(args: &Capacity) -> Result<ExitCode> {
    if !(args.horizon > 0.0 && args.horizon <= 3650.0) {
        return Err(Error::bad_argument("--horizon must be above 0 and at most 3650 days"));
    }
    let mut fleet = args.read()?;
    fleet.find_leaks();
    let report = plan(
        &fleet,
        &CapacityOptions {
            horizon_days: args.horizon,
            allocatable_bytes: args.allocatable,
            quota_bytes: args.quota,
            scenarios: args.what_if.clone(),
        },
    );
    print(&match format_or_default(args.format) {
        Format::Json => capacity_report::to_json(&report),
        Format::Csv => capacity_report::to_csv(&report),
        Format::Text => capacity_report::to_text(&report),
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Capacity {
    fn read(&self) -> Result<Fleet> {
        match &self.source.input {
            Some(path) => self.read_file(path),
            None => self.source.read(false),
        }
    }

    /// A usage.csv or a plain series; the header tells.
    fn read_file(&self, path: &Path) -> Result<Fleet> {
        let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        let input: Box<dyn Read> = match name.as_str() {
            "standard input" => Box::new(std::io::stdin()),
            _ => Box::new(reading(File::open(path).map_err(|e| Error::cannot_read(&name, e))?)),
        };
        let mut input = BufReader::with_capacity(1 << 16, input);
        let head = input.fill_buf().map_err(|e| Error::cannot_read(&name, e))?;
        let first = head.split(|b| *b == b'\n').next().unwrap_or_default();
        if String::from_utf8_lossy(first).to_lowercase().contains("namespace") {
            return usage_csv::read(input, &name);
        }
        let series = csv::read(input, &name)?;
        let mut fleet = FleetBuilder::default();
        let container = fleet.container("", "series", &name);
        container.limit_bytes = self.limit;
        series.times_s().iter().zip(series.values()).for_each(|(t, v)| container.usage.add(*t, *v));
        Ok(fleet.finish())
    }
}

fn size(text: &str) -> std::result::Result<f64, String> {
    what_if::bytes(text).ok_or_else(|| "give a size such as 512Mi or 4GiB".into())
}
