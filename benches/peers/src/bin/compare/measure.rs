//! Runs variants as processes, one after the other and round by round, so that what the machine does meets all alike.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use heapwatch_peers::child::Outcome;
use heapwatch_peers::work::{self, Work};

use crate::plan::{self, Column, Variant};

/// How often, and how much.
#[derive(Debug, Clone, Copy)]
pub enum Rounds {
    Brief,
    Full { at_least: Option<u32> },
}

impl Rounds {
    fn count(self, work: &str) -> u32 {
        match self {
            Rounds::Brief => 1,
            Rounds::Full { at_least } => at_least.unwrap_or(0).max(plan::rounds(work)),
        }
    }

    fn amount(self, work: &Work, variant: &Variant) -> u64 {
        match self {
            Rounds::Brief => work.brief,
            Rounds::Full { .. } => work.amount / variant.share,
        }
    }
}

/// What each variant (by name) answered on each work (by name), once a round.
pub type Results = HashMap<(&'static str, &'static str), Vec<Outcome>>;

/// Runs everything that the table needs.
pub fn measure(variants: &[&'static Variant], columns: &[&'static Column], rounds: Rounds) -> Result<Results> {
    let mut results = Results::new();
    let mut works: Vec<&str> = columns.iter().map(|c| c.work).collect();
    works.dedup();
    for name in works {
        let work = work::find(name).with_context(|| format!("a column names the work `{name}`"))?;
        for round in 1..=rounds.count(name) {
            eprintln!("{name}, round {round}");
            for variant in variants.iter().filter(|v| plan::applies(v, name)) {
                let outcome = run(variant, work, rounds.amount(work, variant))
                    .with_context(|| format!("{} on {name}", variant.name))?;
                results.entry((variant.name, work.name)).or_default().push(outcome);
            }
        }
    }
    Ok(results)
}

fn run(variant: &Variant, work: &Work, amount: u64) -> Result<Outcome> {
    let mut command = Command::new(program(variant.binary)?);
    command.args([work.name, &amount.to_string()]).stderr(Stdio::inherit());
    if let Some(interval) = plan::interval_bytes(variant, work.name) {
        // Only jemalloc reads the variable, before it reads arguments.
        let conf = format!("prof:true,prof_active:true,lg_prof_sample:{}", interval.max(1).ilog2());
        command.arg(interval.to_string()).env("_RJEM_MALLOC_CONF", conf);
    }
    let output = command.output().context("cannot be started")?;
    ensure!(output.status.success(), "{}", output.status);
    let outcome: Outcome = serde_json::from_slice(&output.stdout).context("answers no outcome")?;
    if outcome.lost_samples.is_some_and(|lost| lost > 0) {
        eprintln!("{} lost samples on {}: {:?}", variant.name, work.name, outcome.lost_samples);
    }
    Ok(outcome)
}

/// The variants stand beside this program.
fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    let path = own.with_file_name(name);
    ensure!(path.exists(), "{} is not built; run scripts/bench", path.display());
    Ok(path)
}
