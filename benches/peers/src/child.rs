//! What every variant does: turn its recorder on, do one work, say what it took.
//!
//! `VARIANT WORK AMOUNT [INTERVAL_BYTES]` prints one line of JSON, an [`Outcome`]. Without an interval the recorder stays off.

use std::io::Write;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::clock::{Spent, Stopwatch};
use crate::work;

/// What is turned on before the work and kept until its end.
pub trait Recorder {
    /// Memory of the recorder itself, as it says.
    fn own_bytes(&self) -> Option<u64> {
        None
    }

    /// Samples that it could not keep.
    fn lost_samples(&self) -> Option<u64> {
        None
    }
}

/// Nothing is recorded.
impl Recorder for () {}

/// How the recorder is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Mean bytes between two samples, for recorders that sample.
    pub interval_bytes: u64,
}

/// What a variant answers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Outcome {
    pub spent: Spent,
    pub own_bytes: Option<u64>,
    pub lost_samples: Option<u64>,
    /// The most that was resident, which is the kernel's figure for the whole process.
    pub peak_rss_bytes: u64,
}

/// The main function of every variant; `start` is called if an interval is given.
pub fn main(start: impl FnOnce(Settings) -> Result<Box<dyn Recorder>>) -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, amount, interval) = match arguments.as_slice() {
        [name, amount] => (name, amount, None),
        [name, amount, interval] => (name, amount, Some(interval)),
        _ => bail!("usage: WORK AMOUNT [INTERVAL_BYTES]; works: {}", work::names()),
    };
    let work = work::find(name).with_context(|| format!("there is no work `{name}`; works: {}", work::names()))?;
    let amount = amount.parse().context("AMOUNT is no number")?;
    let recorder = match interval {
        Some(text) => start(Settings { interval_bytes: text.parse().context("INTERVAL_BYTES is no number")? })?,
        None => Box::new(()),
    };
    let mut stopwatch = Stopwatch::default();
    let kept = (work.run)(amount, &mut stopwatch);
    let outcome = Outcome {
        spent: stopwatch.spent(),
        own_bytes: recorder.own_bytes(),
        lost_samples: recorder.lost_samples(),
        peak_rss_bytes: peak_rss_bytes()?,
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&outcome)?)?;
    // The process's end frees what is alive sooner than block by block.
    std::mem::forget(kept);
    Ok(())
}

fn peak_rss_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("the kernel gives no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number")?;
    Ok(kibibytes * 1024)
}
