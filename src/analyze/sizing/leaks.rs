//! Whether a workload leaks, seen from its pods alone.
//!
//! A leak shows in the floor of the use: the lowest value of each day rises, day after day, for as long as a process
//! lives, and falls back only when a new one starts. More traffic lifts the floor too, but it also widens the distance from
//! the floor to the day's peak; a leak lifts both alike. The pod whose process lived longest is asked; the others leak the same
//! code. Where the process itself names the leak, the caller sets [`super::workload::Workload::leak`] and nothing here runs.

use super::usage::Usage;
use super::workload::{Leak, Workload};
use crate::analyze::leak::{self, LeakOptions};
use crate::analyze::series::Series;
use crate::analyze::trend;

/// Blocks of this length have one floor.
const BLOCK_S: f64 = 24.0 * 3600.0;
/// Fewer blocks of one process prove nothing.
const MIN_BLOCKS: usize = 5;
/// A two-sided Mann–Kendall test of the floors must be this sure.
const MAX_P: f64 = 0.05;
/// Growth under this share of the floor is drift, whatever its significance.
const MIN_GROWTH: f64 = 0.05;
/// A cache that fills slows down; the later half of a leak grows at least this share of the earlier half.
const MIN_PERSISTENCE: f64 = 0.5;
/// A floor under this share of the one before is a new process.
const RESTART_FALL: f64 = 0.7;
/// The range from floor to peak widens when a Mann–Kendall test is this sure of it: more load, no leak.
const WIDENING_Z: f64 = 2.0;

/// Below this probability the judge does not see a leak.
const MIN_CONFIDENCE: f64 = 0.3;

/// A block of a process's life.
#[derive(Debug, Clone, Copy)]
struct Block {
    at_s: f64,
    low: f64,
    high: f64,
}

/// The leak of the longest-lived process of the workload; `None` when there is none to be seen.
pub fn find(workload: &Workload) -> Option<Leak> {
    let lives = workload.pods.iter().flat_map(|pod| lives(&pod.usage).into_iter().map(move |life| (pod, life)));
    let (pod, longest) = lives.max_by_key(|(_, life)| life.len())?;
    let found = verdict(&longest)?;
    confirmed(found, &pod.usage, longest.first()?.at_s)
}

/// The calibrated judge has the last word, on the hourly floors of that life; it is asked only where the floors rise at all,
/// as it costs more than everything else here.
fn confirmed(found: Leak, usage: &Usage, from_s: f64) -> Option<Leak> {
    let life = usage.buckets().filter(|(t, _)| *t >= from_s);
    let (times, floors): (Vec<f64>, Vec<f64>) = life.map(|(t, b)| (t, f64::from(b.low))).unzip();
    let judged = leak::detect(&Series::repaired(times, floors, None), &LeakOptions::default());
    let doubtful = judged.confidence < MIN_CONFIDENCE;
    (!doubtful).then_some(Leak { confidence: judged.confidence, ..found })
}

/// The life of each process of one pod. The first block is left out: what a process takes to warm up is no growth.
fn lives(usage: &Usage) -> Vec<Vec<Block>> {
    let mut all: Vec<Vec<Block>> = Vec::new();
    for (at_s, bucket) in usage.buckets() {
        let low = f64::from(bucket.low);
        let last = all.last().and_then(|life| life.last());
        if last.is_none_or(|b| low < b.low * RESTART_FALL) {
            all.push(Vec::new());
        }
        let Some(life) = all.last_mut() else { continue };
        let same = |b: &Block| (b.at_s / BLOCK_S).floor() == (at_s / BLOCK_S).floor();
        match life.last_mut().filter(|b| same(b)) {
            Some(b) => (b.low, b.high) = (b.low.min(low), b.high.max(bucket.peak)),
            None => life.push(Block { at_s, low, high: bucket.peak }),
        }
    }
    all.iter_mut().for_each(|life| drop(life.drain(..life.len().min(1))));
    all
}

fn verdict(life: &[Block]) -> Option<Leak> {
    if life.len() < MIN_BLOCKS || widens(life) || !persists(life)? {
        return None;
    }
    let times: Vec<f64> = life.iter().map(|b| b.at_s).collect();
    let lows: Vec<f64> = life.iter().map(|b| b.low).collect();
    let test = trend::mann_kendall_hamed_rao(&lows)?;
    let line = trend::theil_sen(&times, &lows)?;
    let grown = line.per_s * (times.last()? - times.first()?);
    let leaks = test.z > 0.0 && test.p < MAX_P && line.lower > 0.0 && grown > MIN_GROWTH * lows.first()?;
    leaks.then_some(Leak {
        rate_bytes_per_hour: line.per_s * 3600.0,
        onset_s: None,
        confidence: 1.0 - test.p,
        site: None,
    })
}

fn widens(life: &[Block]) -> bool {
    let ranges: Vec<f64> = life.iter().map(|b| b.high - b.low).collect();
    trend::mann_kendall(&ranges).is_some_and(|t| t.z > WIDENING_Z)
}

/// The later half grows at least [`MIN_PERSISTENCE`] times as fast as the earlier.
fn persists(life: &[Block]) -> Option<bool> {
    let (early, late) = life.split_at(life.len() / 2);
    let slope =
        |part: &[Block]| Some((part.last()?.low - part.first()?.low) / (part.last()?.at_s - part.first()?.at_s));
    Some(slope(late)? >= MIN_PERSISTENCE * slope(early)?)
}
