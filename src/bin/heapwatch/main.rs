//! The command line: arguments become calls of the library, results are printed. No logic here.
//!
//! Exit status: 0 done; 1 the finding that `--fail-on` names is there; 2 bad usage or unreadable input.

mod anomaly;
mod capacity;
mod changepoint;
mod completions;
mod dashboard;
mod diff;
mod forecast;
mod generated;
mod k8s;
mod leak;
mod live;
mod manifests;
mod prometheus;
mod report;
mod rules;
mod series;
mod symbolize;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Which code is growing, how sure that is, and when the memory limit will be hit.
#[derive(Parser)]
#[command(name = "heapwatch", version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Whether a series leaks: since when, how fast, how sure, and when the limit is met
    Leak(leak::LeakArgs),
    Symbolize(symbolize::Symbolize),
    Changepoint(changepoint::Changepoints),
    K8s(Box<k8s::K8s>),
    /// Scores every row of a series and names its anomalies, causally
    Anomaly(anomaly::Arguments),
    Forecast(forecast::Forecasts),
    Capacity(Box<capacity::Capacity>),
    Rules(Box<rules::RuleFile>),
    Dashboard(dashboard::DashboardFile),
    Manifests(Box<manifests::ManifestFiles>),
    /// The leak report of a live process or a dump
    Report(report::Arguments),
    /// The call sites of a live process that grow fastest or hold most
    Top(top::Arguments),
    /// Call sites by growth from one report or profile to another
    Diff(diff::Arguments),
    /// Completions for a shell
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done: heapwatch::Result<ExitCode> = match cli.verb {
        Verb::Leak(args) => leak::run(&args),
        Verb::Symbolize(verb) => verb.run(),
        Verb::Changepoint(v) => v.run(),
        Verb::K8s(args) => k8s::run(&args),
        Verb::Anomaly(arguments) => anomaly::run(&arguments),
        Verb::Forecast(v) => v.run(),
        Verb::Capacity(args) => capacity::run(&args),
        Verb::Rules(v) => v.run(),
        Verb::Dashboard(v) => v.run(),
        Verb::Manifests(v) => v.run(),
        Verb::Report(args) => report::run(&args),
        Verb::Top(args) => top::run(&args),
        Verb::Diff(args) => diff::run(&args),
        Verb::Completions(args) => completions::run(&args, Cli::command()),
    };
    match done {
        Ok(code) => code,
        Err(e) => {
            eprintln!("heapwatch: {e}");
            ExitCode::from(2)
        }
    }
}
