//! Renders: a row a variant, a column a figure.

use std::fmt::Write;
use std::time::Duration;

use heapwatch_peers::child::Outcome;
use heapwatch_peers::clock::Clock;

use crate::measure::Results;
use crate::plan::{Column, Figure, Variant};

const MIB: f64 = (1 << 20) as f64;

/// The table in Markdown. Bare rows show the time of one unit itself.
pub fn render(variants: &[&'static Variant], columns: &[&'static Column], results: &Results) -> String {
    let mut out = String::from("| |");
    columns.iter().for_each(|c| out += &format!(" {} |", c.title));
    out += "\n|---|";
    columns.iter().for_each(|_| out += "---:|");
    out += "\n";
    for variant in variants {
        // Names in bold begin the rows that are compared with them.
        let bold = if variant.base == variant.name { "**" } else { "" };
        let _ = write!(out, "| {bold}{}{bold} |", variant.name);
        for column in columns {
            let cell = cell(variant, column, results).unwrap_or_else(|| "–".into());
            let _ = write!(out, " {cell} |");
        }
        out += "\n";
    }
    out
}

fn cell(variant: &Variant, column: &Column, results: &Results) -> Option<String> {
    let own = results.get(&(variant.name, column.work))?;
    let base = results.get(&(variant.base, column.work))?;
    let is_base = variant.base == variant.name;
    Some(match column.figure {
        Figure::Ratio(clock) if is_base => time(least_ns(own, clock)),
        Figure::Ratio(clock) => format!("{:.2}", least_ns(own, clock) / least_ns(base, clock)),
        Figure::MoreNs(clock) if is_base => time(least_ns(own, clock)),
        Figure::MoreNs(clock) => time(least_ns(own, clock) - least_ns(base, clock)),
        Figure::OwnBytes => mebibytes(own.iter().filter_map(|o| o.own_bytes).min()? as f64),
        Figure::MoreResident if is_base => mebibytes(least_resident(own)),
        Figure::MoreResident => mebibytes(least_resident(own) - least_resident(base)),
    })
}

fn least_ns(outcomes: &[Outcome], clock: Clock) -> f64 {
    outcomes.iter().map(|o| o.spent.per_unit_ns(clock)).fold(f64::INFINITY, f64::min)
}

fn least_resident(outcomes: &[Outcome]) -> f64 {
    outcomes.iter().map(|o| o.peak_rss_bytes as f64).fold(f64::INFINITY, f64::min)
}

fn time(ns: f64) -> String {
    match ns.abs() {
        n if n < 1e3 => format!("{ns:.1} ns"),
        n if n < 1e6 => format!("{:.2} µs", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / MIB)
}

/// Under what conditions the numbers were taken.
pub fn footer(load: f64, took: Duration) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let others = match load {
        l if l < 0.5 => "quiet",
        _ => "busy with other work: ratios of CPU time hold roughly, wall times do not",
    };
    let took = took.as_secs();
    format!("{cores} cores, load {load:.1} at the start ({others}); {took} s. Ratios of the least of the rounds.")
}
