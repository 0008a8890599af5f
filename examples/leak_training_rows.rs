//! Rows for `scripts/fit_leak_judge.py`: what the leak judge is shown of generated series, and the truth.
//!
//! `leak_training_rows FIRST_SEED SERIES LOOKS_BETWEEN` prints a CSV: the series, the time of the look, whether it is the last,
//! whether the series leaks then, the weight, then the features. One look in LOOKS_BETWEEN is printed, and the last.

use std::io::{self, Write};

use heapwatch::analyze::leak::{History, Look, features};

#[path = "../tests/support/leak_series.rs"]
#[allow(dead_code, reason = "tests read fields that the fit does not")]
mod leak_series;

use leak_series::{Leak, Made};

/// Looks are this share of the history apart, as in the streaming detector.
const LOOK_EVERY: f64 = 0.03;
/// A leak so weak beside the noise counts less in fitting: nobody could know.
const WEAK: f64 = 4.0;

fn main() -> io::Result<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let &[first, series, between] = &numbers[..] else {
        eprintln!("usage: leak_training_rows FIRST_SEED SERIES LOOKS_BETWEEN");
        std::process::exit(2);
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(out, "series,time_s,last,leaks,weight,{}", features::NAMES.join(","))?;
    for seed in first..first + series {
        rows(&mut out, seed, &leak_series::make(seed, None), between.max(1))?;
    }
    out.flush()
}

fn rows(out: &mut impl Write, seed: u64, made: &Made, between: u64) -> io::Result<()> {
    let mut history = History::default();
    let (mut next, mut looks) = (0.0, seed);
    let start = made.times_s.first().copied().unwrap_or(0.0);
    for (i, (t, v)) in made.times_s.iter().zip(&made.values).enumerate() {
        history.push(*t, *v, 0.0);
        let (span, last) = (history.span_s(), i + 1 == made.times_s.len());
        if span < next && !last {
            continue;
        }
        next = span + (LOOK_EVERY * span).max(600.0);
        looks += 1;
        if !last && !looks.is_multiple_of(between) {
            continue;
        }
        if let Some(look) = Look::at(&history) {
            let (leaks, weight) = truth(made.leak.as_ref(), t - start);
            let numbers: Vec<String> = look.features.iter().map(|x| format!("{x:.5}")).collect();
            writeln!(out, "{seed},{},{},{leaks},{weight},{}", t - start, u8::from(last), numbers.join(","))?;
        }
    }
    Ok(())
}

/// Whether the series leaks at a time, and how much that row counts: not at all just after a fix.
fn truth(leak: Option<&Leak>, now_s: f64) -> (u8, f64) {
    let Some(leak) = leak.filter(|l| now_s >= l.onset_s) else { return (0, 1.0) };
    let stop = leak.stop_s.unwrap_or(f64::INFINITY);
    match () {
        () if now_s < stop && leak.strength < WEAK => (1, 0.4),
        () if now_s < stop => (1, 1.0),
        () if now_s < stop + 0.25 * (stop - leak.onset_s) => (0, 0.0),
        () => (0, 0.5),
    }
}
