//! Programs that grow, or look like it, and do not leak.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::churn::Dice;
use crate::{Animal, Run};

pub fn all() -> Vec<Animal> {
    let healthy = |name, live| Animal { name, leaks_in: None, live, stretch: 1 };
    vec![
        healthy("churn_only", churn_only as fn(&Run)),
        healthy("warm_up", warm_up),
        healthy("lru_at_cap", lru_at_cap),
        healthy("random_eviction", random_eviction),
        healthy("ttl_plateau", ttl_plateau),
        healthy("ttl_under_ramp", ttl_under_ramp),
        healthy("spikes", spikes),
        healthy("vector_doubling", vector_doubling),
        healthy("vector_built_and_dropped", vector_built_and_dropped),
        healthy("arena_reuse", arena_reuse),
        healthy("traffic_ramp", traffic_ramp),
        healthy("traffic_waves", traffic_waves),
        healthy("pool", pool),
        healthy("coupon_cache", coupon_cache),
        healthy("batches", batches),
        healthy("reload", reload),
        healthy("bounded_queue", bounded_queue),
        healthy("log_rotation", log_rotation),
    ]
}

fn churn_only(run: &Run) {
    run.requests(10.0, |_| ());
}

fn warm_up(run: &Run) {
    let mut tables: Vec<Vec<u8>> = Vec::new();
    run.requests(200.0, |n| {
        if run.share() < 0.3 {
            tables.push(vec![n as u8; 20_000]);
        }
    });
}

/// First in, first out, at its cap after a third of the time.
fn lru_at_cap(run: &Run) {
    let cap = (run.length.as_secs_f64() / 3.0 * 500.0) as usize;
    let mut cache = VecDeque::new();
    run.requests(500.0, |n| {
        cache.push_back(vec![n as u8; 2_000]);
        if cache.len() > cap {
            cache.pop_front();
        }
    });
}

fn random_eviction(run: &Run) {
    let cap = (run.length.as_secs_f64() / 4.0 * 500.0) as u64;
    let mut cache = HashMap::new();
    let mut dice = Dice(5);
    run.requests(500.0, |n| {
        let slot = if n < cap { n } else { dice.below(cap) };
        cache.insert(slot, vec![n as u8; 2_000]);
    });
}

fn with_ttl(run: &Run, ttl: Duration, per_second: impl Fn(f64) -> f64) {
    let mut entries: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut budget = 0.0;
    run.requests(1_000.0, |n| {
        budget += per_second(run.share()) / 1_000.0;
        while budget >= 1.0 {
            entries.push_back((Instant::now(), vec![n as u8; 3_000]));
            budget -= 1.0;
        }
        while entries.front().is_some_and(|(t, _)| t.elapsed() > ttl) {
            entries.pop_front();
        }
    });
}

fn ttl_plateau(run: &Run) {
    with_ttl(run, run.length / 3, |_| 300.0);
}

fn ttl_under_ramp(run: &Run) {
    with_ttl(run, run.length / 8, |share| 100.0 + 400.0 * share);
}

fn spikes(run: &Run) {
    let mut held = Vec::new();
    run.requests(10.0, |n| match n % 60 {
        20 => held = vec![vec![1u8; 100_000]; 200],
        35 => held.clear(),
        _ => (),
    });
}

/// Grows by doubling in the first third, then has its size.
fn vector_doubling(run: &Run) {
    let mut all: Vec<u64> = Vec::new();
    run.requests(100.0, |n| {
        if run.share() < 0.3 {
            all.extend((0..3_000).map(|i| i + n));
        }
    });
}

fn vector_built_and_dropped(run: &Run) {
    run.requests(20.0, |n| {
        let mut all: Vec<u64> = Vec::new();
        all.extend((0..n % 7 * 20_000).map(|i| i * 2));
        for i in 0..50_000 {
            all.push(i);
        }
        std::hint::black_box(&all);
    });
}

fn arena_reuse(run: &Run) {
    let mut arena: Vec<Vec<u8>> = Vec::new();
    let mut used = 0;
    run.requests(300.0, |n| {
        if used == arena.len() {
            arena.push(vec![0; 16_384]);
        }
        arena[used][0] = n as u8;
        used = (used + 1) % 400;
    });
}

/// In-flight memory grows with the load.
fn traffic_ramp(run: &Run) {
    with_ttl(run, Duration::from_secs(1), |share| 200.0 + 800.0 * share);
}

fn traffic_waves(run: &Run) {
    with_ttl(run, Duration::from_secs(2), |share| 400.0 + 300.0 * (share * 20.0).sin());
}

fn pool(run: &Run) {
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut dice = Dice(9);
    run.requests(50.0, |_| {
        // More and more rarely a new peak of connections.
        let wanted = 10 + dice.below(60).min(dice.below(60)) as usize;
        while pool.len() < wanted {
            pool.push(vec![0; 64 * 1024]);
        }
    });
}

/// Random keys of a bounded set: every key is kept for ever, and new ones become rare.
fn coupon_cache(run: &Run) {
    let keys = (run.length.as_secs_f64() * 500.0 / 6.0) as u64;
    let mut cache = HashMap::new();
    let mut dice = Dice(3);
    run.requests(500.0, |_| {
        cache.entry(dice.below(keys)).or_insert_with(|| vec![1u8; 3_000]);
    });
}

fn batches(run: &Run) {
    let mut batch = Vec::new();
    run.requests(500.0, |n| {
        batch.push(vec![n as u8; 2_000]);
        if n % 2_000 == 1_999 {
            batch.clear();
        }
    });
}

/// A configuration that is read anew every few seconds, the old one dropped, a little larger or smaller each time.
fn reload(run: &Run) {
    let mut config: Vec<String> = Vec::new();
    let mut dice = Dice(2);
    run.requests(10.0, |n| {
        if n % 40 == 0 {
            config = (0..2_000 + dice.below(400)).map(|i| format!("{i:0500}")).collect();
        }
    });
    std::hint::black_box(config.len());
}

fn bounded_queue(run: &Run) {
    let mut queue = VecDeque::new();
    let mut dice = Dice(4);
    run.requests(1_000.0, |n| {
        if queue.len() < 3_000 {
            queue.push_back(vec![n as u8; 1_000]);
        }
        if dice.below(100) < 97 {
            queue.pop_front();
        }
    });
}

fn log_rotation(run: &Run) {
    let mut buffer = String::new();
    run.requests(2_000.0, |n| {
        buffer.push_str(&format!("{n:0100}\n"));
        if buffer.len() > 1_000_000 {
            buffer = String::new();
        }
    });
}
