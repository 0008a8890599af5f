//! `heapwatch changepoint`: the rows from which a series is different.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use heapwatch::Result;
use heapwatch::analyze::changepoint::{Changepoint, ChangepointOptions, find_changepoints};
use heapwatch::analyze::series::InputSummary;
use serde::Serialize;

use crate::series::{Format, Input, document, format_or_default, print, rfc3339};

/// Finds changes of level, slope and variance
#[derive(Debug, Args)]
pub struct Changepoints {
    #[command(flatten)]
    input: Input,
    /// Price of a change in ln(rows): less finds fainter changes and invents some
    #[arg(long, default_value_t = ChangepointOptions::default().penalty)]
    penalty: f64,
    /// Rows a regime has at least
    #[arg(long, default_value_t = ChangepointOptions::default().least_rows)]
    least_rows: usize,
    /// How to print; text on a terminal, JSON elsewhere
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    input: InputSummary,
    /// What is missing, when the rows are too few to say.
    insufficient_data: Option<String>,
    changepoints: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    at: Option<String>,
    #[serde(flatten)]
    change: Changepoint,
}

impl Changepoints {
    pub fn run(&self) -> Result<ExitCode> {
        let series = self.input.read()?;
        let options = ChangepointOptions { penalty: self.penalty, least_rows: self.least_rows };
        let found = find_changepoints(&series, &options);
        let rows = series.len();
        let short = || format!("{rows} rows; two regimes need at least {}", 2 * self.least_rows.max(3));
        let document = Document {
            schema: "heapwatch.changepoint/1",
            input: series.summary(),
            insufficient_data: found.is_none().then(short),
            changepoints: found.into_iter().flatten().map(Change::from).collect(),
        };
        print(&document.rendered(format_or_default(self.format))?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl From<Changepoint> for Change {
    fn from(change: Changepoint) -> Change {
        Change { at: rfc3339(change.at_s), change }
    }
}

impl Document {
    fn rendered(&self, format: Format) -> Result<String> {
        match format {
            Format::Json => document(self),
            Format::Csv => Ok(self.csv()),
            Format::Text => Ok(self.text()),
        }
    }

    fn csv(&self) -> String {
        let mut out = String::from(
            "at,at_s,row,kind,before,after,slope_before_per_hour,slope_after_per_hour,deviation_before,deviation_after\n",
        );
        for Change { at, change: c } in &self.changepoints {
            let at = at.as_deref().unwrap_or_default();
            let (b, a, sb, sa) = (c.before, c.after, c.slope_before_per_hour, c.slope_after_per_hour);
            let (at_s, row, kind) = (c.at_s, c.row, c.kind);
            let _ = writeln!(
                out,
                "{at},{at_s},{row},{kind},{b},{a},{sb},{sa},{},{}",
                c.deviation_before, c.deviation_after
            );
        }
        out
    }

    fn text(&self) -> String {
        let mut out = format!("{}\n", self.input);
        if let Some(missing) = &self.insufficient_data {
            let _ = writeln!(out, "insufficient data: {missing}");
        } else if self.changepoints.is_empty() {
            out.push_str("no change\n");
        }
        for Change { at, change: c } in &self.changepoints {
            let at = at.clone().unwrap_or_else(|| c.at_s.to_string());
            let _ = writeln!(out, "{at}  {:8}  {}", c.kind, what(c));
        }
        out
    }
}

fn what(c: &Changepoint) -> String {
    use heapwatch::analyze::changepoint::Kind;
    match c.kind {
        Kind::Level => format!("{:.6e} -> {:.6e}", c.before, c.after),
        Kind::Slope => format!("{:.4e} -> {:.4e} per hour", c.slope_before_per_hour, c.slope_after_per_hour),
        Kind::Variance => format!("deviation {:.4e} -> {:.4e}", c.deviation_before, c.deviation_after),
    }
}
