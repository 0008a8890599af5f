//! `heapwatch forecast`: a series, what comes next, and when a limit is reached.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use heapwatch::Result;
use heapwatch::analyze::forecast::{Exhaustion, Forecast, ForecastOptions, forecast};
use heapwatch::analyze::what_if::{self, Scenario};

use crate::series::{Format, Input, document, format_or_default, print};

/// Forecasts a series with intervals, and when it reaches a limit
#[derive(Debug, Args)]
pub struct Forecasts {
    #[command(flatten)]
    input: Input,
    /// Rows ahead
    #[arg(long, value_name = "N", default_value_t = ForecastOptions::default().horizon_rows)]
    horizon: usize,
    /// Probability that a value falls into its interval
    #[arg(long, default_value_t = ForecastOptions::default().level)]
    level: f64,
    /// Season length in rows; found when not given
    #[arg(long, value_name = "ROWS")]
    season: Option<usize>,
    /// Memory limit, for the time of exhaustion: bytes, or with a unit as in 4GiB
    #[arg(long, value_name = "BYTES", value_parser = limit)]
    limit: Option<f64>,
    /// Scenarios: load=+20%, load=1.5x, limit=4GiB, replicas=6, growth=-50%; several changes joined by commas
    #[arg(long, value_name = "SCENARIO", num_args = 1..)]
    what_if: Vec<Scenario>,
    /// Replicas that share the load now, for scenarios that change them
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// Report what the forecast would have missed by from past rows
    #[arg(long)]
    backtest: bool,
    /// How to print; text on a terminal, JSON elsewhere
    #[arg(long)]
    format: Option<Format>,
}

fn limit(text: &str) -> std::result::Result<f64, String> {
    what_if::bytes(text).ok_or_else(|| "expected a number of bytes, or with a unit as in 4GiB or 512M".to_owned())
}

impl Forecasts {
    pub fn run(self) -> Result<ExitCode> {
        let series = self.input.read()?;
        let format = format_or_default(self.format);
        let answer = forecast(&series, &self.options())?;
        print(&match format {
            Format::Json => document(&answer)?,
            Format::Csv => csv(&answer),
            Format::Text => text(&answer),
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn options(self) -> ForecastOptions {
        ForecastOptions {
            horizon_rows: self.horizon,
            level: self.level,
            season_rows: self.season,
            limit_bytes: self.limit,
            backtest: self.backtest,
            scenarios: self.what_if,
            replicas: self.replicas,
            ..ForecastOptions::default()
        }
    }
}

fn csv(answer: &Forecast) -> String {
    let mut out = String::from("timestamp,mean,lower,upper\n");
    for p in &answer.forecast {
        let _ = writeln!(out, "{},{},{},{}", p.timestamp_s, p.mean, p.lower, p.upper);
    }
    out
}

fn text(answer: &Forecast) -> String {
    let mut out = String::new();
    let model = &answer.model;
    let members: Vec<String> = model.members.iter().map(|m| format!("{} {:.0} %", m.name, 100.0 * m.weight)).collect();
    let _ = writeln!(out, "from {} rows, every {} s; {}", model.rows, model.step_s, members.join(", "));
    for note in &model.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(out, "exhaustion: {}", date(answer.exhaustion.as_ref()));
    for s in &answer.scenarios {
        let _ = writeln!(out, "what if {}: {}; at the end {:.0}", s.scenario, date(s.exhaustion.as_ref()), s.end_mean);
    }
    if let Some(b) = &answer.backtest {
        let (error, naive) = (b.mean_absolute_error, b.naive_mean_absolute_error);
        let _ = writeln!(
            out,
            "tried from {} origins: error {error:.0} (naive {naive:.0}), {:.0} % within the interval",
            b.origins.len(),
            100.0 * b.coverage
        );
    }
    for p in &answer.forecast {
        let time = p.timestamp.clone().unwrap_or_else(|| p.timestamp_s.to_string());
        let _ = writeln!(out, "{time}  {:.0}  [{:.0}, {:.0}]", p.mean, p.lower, p.upper);
    }
    out
}

fn date(exhaustion: Option<&Exhaustion>) -> String {
    let shown = |time: &Option<String>| time.clone().unwrap_or_else(|| "not foreseeable".to_owned());
    exhaustion.map_or_else(
        || "none foreseeable".to_owned(),
        |e| format!("{} (between {} and {})", shown(&e.at), shown(&e.earliest), shown(&e.latest)),
    )
}
