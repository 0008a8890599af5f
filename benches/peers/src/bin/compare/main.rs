//! Runs all variants on all works, in turn, and prints one Markdown table.
//!
//! `compare [--brief] [--rounds N] [--only NAME,…]`: `--brief` does one tiny round, to see that all still run; `--only` takes the
//! rows and columns whose names contain one of the words. A cell is the ratio to the bare allocator, each side the least of its rounds: what
//! the machine does meanwhile only ever adds.

mod measure;
mod plan;
mod table;

use std::time::Instant;

use anyhow::{Context, Result, bail};

use measure::{Rounds, measure};
use plan::{COLUMNS, VARIANTS, Variant};

#[derive(Debug, Default)]
struct Options {
    brief: bool,
    rounds: Option<u32>,
    only: Vec<String>,
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--brief" => options.brief = true,
            "--rounds" => options.rounds = Some(value()?.parse().context("--rounds takes a number")?),
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            other => bail!("`{other}` is not known; usage: compare [--brief] [--rounds N] [--only NAME,…]"),
        }
    }
    Ok(options)
}

/// The names that `only` asks for; all of them if it names none of their kind.
fn chosen<T>(all: &'static [T], name: impl Fn(&T) -> &str, only: &[String]) -> Vec<&'static T> {
    let asked = |item: &&T| only.iter().any(|word| name(item).contains(word.as_str()));
    let some: Vec<&T> = all.iter().filter(asked).collect();
    if some.is_empty() { all.iter().collect() } else { some }
}

/// How busy others keep the machine, as the kernel says: processes that run, the mean of a minute.
fn load() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    let first = text.split(' ').next().context("/proc/loadavg is empty")?;
    first.parse().context("/proc/loadavg begins with no number")
}

fn main() -> Result<()> {
    let options = options()?;
    let rounds = match options.brief {
        true => Rounds::Brief,
        false => Rounds::Full { at_least: options.rounds },
    };
    let asked = chosen(&VARIANTS, |v| v.name, &options.only);
    // Nothing can be said without the bare allocator.
    let is_needed = |v: &&Variant| asked.iter().any(|a| a.name == v.name || a.base == v.name);
    let variants: Vec<&Variant> = VARIANTS.iter().filter(is_needed).collect();
    let columns = chosen(&COLUMNS, |c| c.work, &options.only);
    let (load, started) = (load()?, Instant::now());
    let results = measure(&variants, &columns, rounds)?;
    print!("{}", table::render(&variants, &columns, &results));
    println!();
    if options.brief {
        println!("A tiny round: it shows that everything runs, and its figures mean nothing.");
    }
    println!("{}", table::footer(load, started.elapsed()));
    Ok(())
}
