//! Estimates as distributions: over a thousand seeded runs the 95 % interval of a site's live bytes covers the truth in 93–97 % of
//! them and the mean is within 0.5 % — at one interval, over changes of the interval, and after thinning.
//!
//! The runs are seeded, so they pass or fail for good; the bounds are 2.9 standard deviations of a binomial share of 95 % wide.

use heapwatch::collect::weight::{Sum, Weight};
use heapwatch::record::sampler::{distance, next_random, probability};

struct Site {
    random: u64,
    interval: u64,
    until: u64,
    /// Size, interval of the draw, whether it was sampled.
    live: Vec<(u64, u64, bool)>,
}

impl Site {
    fn new(seed: u64, interval: u64) -> Site {
        // Mixed, so that the runs' streams are not shifted copies of one another.
        let mut random = next_random(&mut (seed << 20));
        let until = distance(next_random(&mut random), interval);
        Site { random, interval, until, live: Vec::new() }
    }

    fn allocate(&mut self, size: u64) {
        let hit = size >= self.until;
        self.live.push((size, self.interval, hit));
        self.until = if hit { distance(next_random(&mut self.random), self.interval) } else { self.until - size };
    }

    fn free_one_in(&mut self, n: u64) {
        let mut random = self.random;
        self.live.retain(|_| !next_random(&mut random).is_multiple_of(n));
        self.random = random;
    }

    fn change_interval(&mut self, interval: u64) {
        self.interval = interval;
        self.until = distance(next_random(&mut self.random), interval);
    }

    /// As the collector does at its bound: a sample stays with the chance P(new)/P(old) and takes the new weight.
    fn thin(&mut self) {
        let doubled = self.interval * 2;
        for (size, interval, sampled) in &mut self.live {
            if *sampled && *interval < doubled {
                let keep = probability(*size, doubled) / probability(*size, *interval);
                let drawn = (next_random(&mut self.random) >> 11) as f64 / (1u64 << 53) as f64;
                *sampled = drawn < keep;
            }
            *interval = doubled.max(*interval);
        }
        self.change_interval(doubled);
    }

    fn truth(&self) -> f64 {
        self.live.iter().map(|(size, ..)| *size as f64).sum()
    }

    fn estimate(&self) -> Sum {
        let mut sum = Sum::default();
        self.live.iter().filter(|(.., sampled)| *sampled).for_each(|(size, i, _)| sum.born(Weight::of(*size, *i)));
        sum
    }
}

fn size(random: &mut u64) -> u64 {
    match next_random(random) % 10 {
        0..=6 => 16 + next_random(random) % 500,
        7 | 8 => 512 + next_random(random) % 8_000,
        _ => 20_000 + next_random(random) % 60_000,
    }
}

/// Share of runs whose interval covers the truth, and the mean estimate over the mean truth.
fn judge(run: impl Fn(&mut Site, &mut u64)) -> (f64, f64) {
    const RUNS: u64 = 1_000;
    let (mut covered, mut estimated, mut true_bytes) = (0, 0.0, 0.0);
    for seed in 1..=RUNS {
        let mut site = Site::new(seed, 16 << 10);
        let mut random = next_random(&mut !(seed << 24));
        run(&mut site, &mut random);
        let live = site.estimate().usage().live_bytes;
        covered += u32::from((live.value - site.truth()).abs() <= live.error95());
        estimated += live.value;
        true_bytes += site.truth();
    }
    (f64::from(covered) / RUNS as f64, estimated / true_bytes)
}

fn hold(name: &str, run: impl Fn(&mut Site, &mut u64)) {
    let (coverage, mean) = judge(run);
    println!("{name}: coverage {coverage:.3}, mean {mean:.4}");
    assert!((0.93..=0.97).contains(&coverage), "{name}: {coverage}");
    assert!((mean - 1.0).abs() < 0.005, "{name}: {mean}");
}

#[test]
fn at_one_interval() {
    hold("one interval", |site, random| {
        for _ in 0..4_000 {
            site.allocate(size(random));
        }
        site.free_one_in(3);
    });
}

#[test]
fn over_changes_of_the_interval() {
    hold("interval changes", |site, random| {
        for interval in [16 << 10, 2 << 10, 64 << 10, 8 << 10] {
            site.change_interval(interval);
            (0..1_500).for_each(|_| site.allocate(size(random)));
            site.free_one_in(4);
        }
    });
}

#[test]
fn after_thinning() {
    hold("thinning", |site, random| {
        for _ in 0..3 {
            (0..2_000).for_each(|_| site.allocate(size(random)));
            site.free_one_in(5);
            site.thin();
        }
        (0..1_000).for_each(|_| site.allocate(size(random)));
    });
}
