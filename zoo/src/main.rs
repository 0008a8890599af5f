//! Judges the leak verdict: programs that leak and programs that only look like it, each a process of its own under churn.
//!
//! `zoo run [--seconds 30] [--jobs 2] [--only NAME]` runs all and prints a table; it fails when a leak is not rank 1 or a healthy
//! program is accused. `zoo one NAME --seconds N` runs one and prints its report as JSON.

mod churn;
mod healthy;
mod leaks;
mod table;

use std::time::{Duration, Instant};

use heapwatch::{HeapWatch, Watch};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

/// A program: its name, the function that leaks if any, and what it does until the end.
pub struct Animal {
    pub name: &'static str,
    pub leaks_in: Option<&'static str>,
    pub live: fn(&Run),
    /// Runs this many times longer than asked.
    pub stretch: u64,
}

/// How long a program runs.
pub struct Run {
    pub start: Instant,
    pub length: Duration,
}

impl Run {
    pub fn goes_on(&self) -> bool {
        self.start.elapsed() < self.length
    }

    /// Share of the time that has passed.
    pub fn share(&self) -> f64 {
        self.start.elapsed().as_secs_f64() / self.length.as_secs_f64()
    }

    /// Calls `request` about `per_second` times a second until the end.
    pub fn requests(&self, per_second: f64, mut request: impl FnMut(u64)) {
        let mut n = 0u64;
        while self.goes_on() {
            let due = (self.start.elapsed().as_secs_f64() * per_second) as u64;
            while n < due {
                request(n);
                n += 1;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn animals() -> Vec<Animal> {
    leaks::all().into_iter().chain(healthy::all()).collect()
}

fn one(name: &str, seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let animal = animals().into_iter().find(|a| a.name == name).ok_or("no such program")?;
    let watch = Watch::builder().service(name).sample_interval_bytes(32 << 10).start()?;
    let run = Run { start: Instant::now(), length: Duration::from_secs(seconds) };
    let report = std::thread::scope(|s| {
        s.spawn(|| churn::churn(&run));
        // Before the end, as at the end everything is dropped.
        let report = s.spawn(|| {
            std::thread::sleep(run.length.mul_f64(0.98));
            watch.report()
        });
        (animal.live)(&run);
        report.join()
    });
    println!("{}", report.map_err(|_| "the report failed")?.to_json());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1).cloned());
    let seconds = option("--seconds").map_or(Ok(30), |s| s.parse())?;
    match args.first().map(String::as_str) {
        Some("one") => one(args.get(1).ok_or("which one?")?, seconds),
        Some("run") => {
            let jobs = option("--jobs").map_or(Ok(2), |s| s.parse())?;
            table::run(seconds, jobs, option("--only").as_deref())
        }
        _ => Err("usage: zoo run [--seconds N] [--jobs N] [--only NAME] | zoo one NAME [--seconds N]".into()),
    }
}
