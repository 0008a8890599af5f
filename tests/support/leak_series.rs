//! Seeded memory series of many shapes, healthy and leaking, with the truth beside them.
//!
//! They are what the leak judge is fitted on and what its false-alarm rate is tested with. Shapes are drawn from wide ranges,
//! so that the judge learns what growth looks like rather than one generator's habits: load by day and week or by any
//! other cycle, warm-up, caches that fill, purges, restarts, deploys, traffic that grows, allocators that keep their peak,
//! bursts, toggling and wandering levels. Some are two of these at once, as services are.

/// splitmix64 with a few distributions.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x1234_5678_9abc_def1))
    }

    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let (a, b) = (self.unit().max(1e-300), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Evenly in the logarithm.
    pub fn scale(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n - 1)
    }
}

/// What was put into a series.
#[derive(Debug, Clone, Copy)]
pub struct Leak {
    pub onset_s: f64,
    /// When the leak was fixed, if it was.
    pub stop_s: Option<f64>,
    pub bytes_per_hour: f64,
    /// Leaked bytes over the standard deviation of what the series does besides (its own cycle removed).
    pub strength: f64,
}

pub struct Made {
    pub times_s: Vec<f64>,
    pub values: Vec<f64>,
    pub load: Vec<f64>,
    pub leak: Option<Leak>,
    pub background: &'static str,
}

const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

const BACKGROUNDS: [&str; 18] = [
    "steady",
    "steady",
    "cache",
    "cache_log",
    "cache",
    "zipf",
    "purge",
    "restart",
    "deploy",
    "ramp",
    "ratchet",
    "ratchet",
    "burst",
    "toggle",
    "wander",
    "frag",
    "site",
    "site",
];

/// What may come on top of a background.
const BESIDES: [&str; 7] = ["cache", "cache", "cache_log", "zipf", "frag", "purge", "deploy"];

/// One series, wholly decided by its seed. `leaking` forces or forbids a leak; by default every other series leaks.
pub fn make(seed: u64, leaking: Option<bool>) -> Made {
    let mut d = Dice::new(seed);
    let (shortest, longest) =
        [(2.5, 14.0), (14.0, 40.0), (14.0, 40.0), (40.0, 420.0), (40.0, 420.0), (40.0, 420.0)][d.below(6)];
    let span = d.scale(shortest * HOUR, longest * HOUR);
    let rows = d.scale(600.0, 5000.0) as usize;
    let dt = span / rows as f64;
    let start = 1_700_000_000.0 + (d.unit() * 1e7).floor();
    let t: Vec<f64> = (0..rows).map(|i| i as f64 * dt).collect();
    let background = BACKGROUNDS[d.below(BACKGROUNDS.len())];
    let load = load(&mut d, &t, span, background);
    if background == "site" {
        return site(&mut d, t, load, start, leaking);
    }
    let base = d.scale(3e7, 3e10);
    let flat = if matches!(background, "toggle" | "wander") { 0.8 } else { 0.2 };
    let amplitude = if d.chance(flat) { d.scale(0.001, 0.08) } else { d.scale(0.08, 1.6) };
    let mut v = smoothed(&load, dt, d.scale(60.0, 2.0 * HOUR))
        .iter()
        .map(|l| base * (1.0 + amplitude * (l - 1.0)).max(0.1))
        .collect::<Vec<_>>();
    let resets = events(&mut d, background, span);
    warm_up(&mut d, &mut v, &t, base, &resets, span);
    healthy(&mut d, background, &mut v, &t, &load, base, span, &resets);
    if d.chance(0.35) {
        let besides = BESIDES[d.below(BESIDES.len())];
        healthy(&mut d, besides, &mut v, &t, &load, base, span, &resets);
    }
    noise(&mut d, &mut v, &t, dt, base);
    if background == "ratchet" || d.chance(0.15) {
        high_water(&mut d, &mut v, dt);
    }
    let leak = if leaking.unwrap_or(d.chance(0.5)) {
        Some(add_leak(&mut d, &mut v, &t, &load, base, span, &resets))
    } else {
        None
    };
    if leak.is_some() && background == "ratchet" && d.chance(0.5) {
        high_water(&mut d, &mut v, dt);
    }
    let grain = if d.chance(0.2) { d.scale(4096.0, 0.002 * base) } else { 4096.0 };
    let values = v.iter().map(|x| ((x / grain).round() * grain).max(0.0)).collect();
    gaps(&mut d, Made { times_s: t.iter().map(|t| start + t.round()).collect(), values, load, leak, background })
}

/// Relative work done: mean about 1.
fn load(d: &mut Dice, t: &[f64], span: f64, background: &str) -> Vec<f64> {
    let daily = span > 20.0 * HOUR && d.chance(0.8);
    let short = [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0][d.below(8)] * HOUR;
    let period = if daily { DAY } else { short.min(span / d.between(0.8, 4.0)) };
    let wave = if d.chance(0.25) { 0.0 } else { d.between(0.2, 0.9) };
    let (phase, shape, power, second) = (d.unit(), d.below(3), d.between(0.6, 3.0), d.between(-0.4, 0.5));
    let weekend = if d.chance(0.4) { d.between(0.3, 0.95) } else { 1.0 };
    let week_phase = d.unit();
    let (varies, sharp) = (d.between(0.0, 0.12), d.between(2.0, 12.0));
    let days = (span / period) as usize + 3;
    let heights: Vec<f64> =
        (0..days).map(|_| 1.0 + varies * d.normal() - if d.chance(0.02) { 0.4 } else { 0.0 }).collect();
    let wander = wander(d, t, 0.0, 1.0);
    let wander_share = d.scale(0.005, 0.1);
    let ramp =
        (background == "ramp").then(|| (d.between(0.0, 0.6) * span, d.between(0.05, 0.5) * span, d.between(0.1, 0.7)));
    let slow = d.between(-0.05, 0.05);
    t.iter()
        .enumerate()
        .map(|(i, t)| {
            let turn = t / period + phase;
            let x = turn.fract();
            let raised = 0.5 - 0.5 * (std::f64::consts::TAU * x).cos();
            let hill = match shape {
                0 => raised.powf(power),
                1 => 1.0 / (1.0 + (-sharp * (raised - 0.5)).exp()),
                _ => (raised + second * (2.0 * std::f64::consts::TAU * x).sin() * 0.4).clamp(-0.2, 1.3),
            };
            let day = (t / DAY / 7.0 + week_phase).fract() * 7.0;
            let week = if daily && day >= 5.0 { weekend } else { 1.0 };
            let grown = ramp.map_or(1.0, |(at, long, by)| 1.0 + by * ((t - at) / long).clamp(0.0, 1.0));
            let height = heights.get(turn as usize).copied().unwrap_or(1.0);
            let l = (1.0 - 0.5 * wave + wave * hill * height) * week * grown * (1.0 + wander_share * wander[i])
                + slow * t / span;
            l.max(0.02)
        })
        .collect()
}

/// A mean-reverting walk of unit variance; `slow` 0 to 1 draws its correlation time.
fn wander(d: &mut Dice, t: &[f64], low: f64, high: f64) -> Vec<f64> {
    let dt = t[1] - t[0];
    let span = t[t.len() - 1];
    let tau = d.scale(120.0 + low, (12.0 * HOUR * high).min(0.2 * span).max(130.0 + low));
    let keep = (-dt / tau).exp();
    let push = (1.0 - keep * keep).sqrt();
    let mut x = d.normal();
    t.iter()
        .map(|_| {
            x = keep * x + push * d.normal();
            x
        })
        .collect()
}

fn smoothed(x: &[f64], dt: f64, tau: f64) -> Vec<f64> {
    let keep = (-dt / tau).exp();
    let mut now = x[0];
    x.iter()
        .map(|x| {
            now = keep * now + (1.0 - keep) * x;
            now
        })
        .collect()
}

/// Times of restarts or deploys.
fn events(d: &mut Dice, background: &str, span: f64) -> Vec<f64> {
    let many = match background {
        "restart" => 1 + d.below(3),
        "deploy" => 1 + d.below(2),
        _ => usize::from(d.chance(0.08)),
    };
    let mut at: Vec<f64> = (0..many).map(|_| d.between(0.1, 0.95) * span).collect();
    at.sort_by(f64::total_cmp);
    at
}

fn warm_up(d: &mut Dice, v: &mut [f64], t: &[f64], base: f64, resets: &[f64], span: f64) {
    let depth = if d.chance(0.75) { d.between(0.03, 0.4) * base } else { 0.0 };
    let tau = if d.chance(0.6) { d.scale(180.0, 4.0 * HOUR).min(0.15 * span) } else { d.scale(0.005, 0.12) * span };
    let again = d.chance(0.7);
    for (x, t) in v.iter_mut().zip(t) {
        let since = resets.iter().rev().find(|r| *r <= t).filter(|_| again).map_or(*t, |r| t - r);
        *x -= depth * (-since / tau).exp();
    }
}

#[allow(clippy::too_many_arguments, reason = "the parts of one background")]
fn healthy(
    d: &mut Dice,
    background: &str,
    v: &mut [f64],
    t: &[f64],
    load: &[f64],
    base: f64,
    span: f64,
    resets: &[f64],
) {
    let dt = t[1] - t[0];
    match background {
        "cache" => {
            let (size, tau) = (d.scale(0.05, 1.5) * base, d.scale(0.015, 0.45) * span);
            let with_load = d.chance(0.6);
            let mut filled = 0.0;
            for (i, x) in v.iter_mut().enumerate() {
                let speed = if with_load { load[i] } else { 1.0 };
                filled += (size - filled) * (1.0 - (-speed * dt / tau).exp());
                *x += filled;
            }
        }
        "cache_log" => {
            let (size, tau) = (d.scale(0.03, 0.5) * base, d.scale(0.01, 0.5) * span);
            let cap = d.between(0.5, 1.1) * (4.0 * span / tau).ln_1p();
            let mut work = 0.0;
            for (x, l) in v.iter_mut().zip(load) {
                work += l * dt;
                let keys = (work / tau * 4.0).ln_1p();
                *x += size * cap * (1.0 - (-1.6 * keys / cap).exp());
            }
        }
        // A cache of keys that come by a Zipf law: the popular ones fill it at once, rare ones for ever.
        "zipf" => {
            let (size, tau, power) = (d.scale(0.05, 1.2) * base, d.scale(0.01, 0.5) * span, d.between(0.3, 0.8));
            let mut work = 0.0;
            for (x, l) in v.iter_mut().zip(load) {
                work += l * dt;
                *x += size * (1.0 - (-(work / tau).powf(power)).exp());
            }
        }
        "purge" => {
            let (period, height) = (d.scale(0.3 * HOUR, 0.25 * span), d.scale(0.03, 0.6) * base);
            let (by_size, floor, jitter) = (d.chance(0.6), d.between(0.0, 0.3), d.between(0.0, 0.3));
            let (mut filled, mut cap) = (d.unit() * height, height);
            let mut since = 0.0;
            for (x, l) in v.iter_mut().zip(load) {
                filled += height * dt / period * if by_size { *l } else { 1.0 };
                since += dt;
                if (by_size && filled > cap) || (!by_size && since > period) {
                    filled *= floor * d.unit();
                    cap = height * (1.0 + jitter * d.normal()).max(0.3);
                    since = 0.0;
                }
                *x += filled;
            }
        }
        "deploy" => {
            for at in resets {
                let by = d.scale(0.02, 0.4) * base * if d.chance(0.5) { 1.0 } else { -0.7 };
                v.iter_mut().zip(t).filter(|(_, t)| *t >= at).for_each(|(x, _)| *x += by);
            }
        }
        "burst" => {
            for _ in 0..1 + d.below(4) {
                let (at, long) = (d.unit() * span, d.scale(300.0, 0.06 * span));
                let (high, decay) = (d.scale(0.05, 1.0) * base, d.chance(0.4));
                for (x, t) in v.iter_mut().zip(t).filter(|(_, t)| **t >= at) {
                    *x += if decay {
                        high * (-(t - at) / long).exp()
                    } else if t - at < long {
                        high
                    } else {
                        0.0
                    };
                }
            }
        }
        "toggle" => {
            let (high, stay, fade) = (d.scale(0.005, 0.15) * base, d.scale(300.0, 0.06 * span), d.chance(0.4));
            let regular = d.chance(0.4);
            let (mut up, mut until) = (false, 0.0);
            let shift = if d.chance(0.3) { (d.unit() * span, d.between(-1.0, 1.0) * high) } else { (span, 0.0) };
            for (x, t) in v.iter_mut().zip(t) {
                if *t >= until {
                    up = !up && (!fade || d.unit() > t / span);
                    until = t + stay * if regular { 1.0 } else { -d.unit().max(1e-9).ln() };
                }
                *x += if up { high } else { 0.0 } + if *t > shift.0 { shift.1 } else { 0.0 };
            }
        }
        "wander" => {
            let walk = wander(d, t, 0.0, 2.0);
            let (size, ceiling) = (d.scale(0.005, 0.06) * base, d.between(0.3, 3.0));
            let sign = if d.chance(0.7) { 1.0 } else { -1.0 };
            v.iter_mut().zip(&walk).for_each(|(x, w)| *x += size * sign * w.min(ceiling));
        }
        "frag" => {
            let (size, tau, root) = (d.scale(0.02, 0.25) * base, d.scale(0.02, 0.2) * span, d.chance(0.3));
            for (x, t) in v.iter_mut().zip(t) {
                *x += size * if root { 0.4 * (t / span).sqrt() * (-(t / span)).exp() } else { 1.0 - (-t / tau).exp() };
            }
        }
        _ => {}
    }
    if background == "restart" || d.chance(0.04) {
        for at in resets {
            let (left, tau) = (d.between(0.3, 0.85), d.scale(120.0, 1.0 * HOUR).min(0.05 * span));
            for (x, t) in v.iter_mut().zip(t).filter(|(_, t)| *t >= at) {
                *x *= 1.0 - (1.0 - left) * (-(t - at) / tau).exp();
            }
        }
    }
}

fn noise(d: &mut Dice, v: &mut [f64], t: &[f64], dt: f64, base: f64) {
    let fine = d.scale(0.0001, 0.012) * base;
    let slow = if d.chance(0.6) { d.scale(0.001, 0.03) * base } else { 0.0 };
    let walk = wander(d, t, 0.0, 0.7);
    let saw = if d.chance(0.25) { Some((d.scale(300.0, 4.0 * HOUR), d.scale(0.01, 0.12) * base)) } else { None };
    let mut phase = 0.0;
    for (i, x) in v.iter_mut().enumerate() {
        *x += fine * d.normal() + slow * walk[i];
        if let Some((period, height)) = saw {
            phase += dt / period * (1.0 + 0.2 * d.normal());
            *x += height * (phase.fract() - 0.5);
        }
    }
}

/// An allocator that returns memory late or never.
fn high_water(d: &mut Dice, v: &mut [f64], dt: f64) {
    let release = if d.chance(0.5) { 0.0 } else { dt / d.scale(0.5 * HOUR, 24.0 * HOUR) };
    let mut kept = v[0];
    for x in v.iter_mut() {
        kept = if *x > kept { *x } else { kept - (kept - *x) * release.min(1.0) };
        *x = kept;
    }
}

fn add_leak(d: &mut Dice, v: &mut [f64], t: &[f64], load: &[f64], base: f64, span: f64, resets: &[f64]) -> Leak {
    let onset = if d.chance(0.5) { 0.0 } else { d.between(0.15, 0.65) * span };
    let stop = d.chance(0.1).then(|| onset + d.between(0.35, 0.8) * (span - onset));
    let end = stop.unwrap_or(span);
    let sd = wobble(v);
    let total = (d.scale(1.5, 400.0) * sd).clamp(0.004 * base, 6.0 * base);
    let rate = total / (end - onset);
    let kind = d.below(8);
    let (chunk, mut waiting) = (d.scale(0.005, 0.09) * span, 0.0);
    let cleared = d.chance(0.7);
    let dt = t[1] - t[0];
    let inside = |t: f64| t >= onset && t < end;
    let mean = load.iter().zip(t).filter(|(_, t)| inside(**t)).map(|(l, _)| *l).sum::<f64>()
        / t.iter().filter(|t| inside(**t)).count().max(1) as f64;
    let (mut leaked, mut held) = (0.0, 0.0);
    for (i, x) in v.iter_mut().enumerate() {
        if inside(t[i]) {
            let speed = match kind {
                0..=2 => 1.0,
                3..=4 => load[i] / mean,
                5 => 1.0 + 0.5 * ((t[i] - onset) / (end - onset) - 0.5),
                _ => 1.0,
            };
            held += rate * speed * dt;
            waiting += dt;
            if kind < 6 || waiting > chunk {
                leaked += held;
                (held, waiting) = (0.0, 0.0);
            }
        }
        if cleared && resets.iter().any(|r| t[i] >= *r && t[i] < r + dt) {
            leaked = 0.0;
        }
        *x += leaked;
    }
    Leak { onset_s: onset, stop_s: stop, bytes_per_hour: rate * HOUR, strength: total / sd }
}

/// Standard deviation of changes over a tenth of the series: what growth has to stand out from.
fn wobble(v: &[f64]) -> f64 {
    let tail = &v[v.len() / 5..];
    let run = (tail.len() / 60).max(1);
    let x: Vec<f64> = tail.chunks(run).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt().max(1e-5 * mean.abs())
}

/// A call site's live bytes: small, near zero at first, of its own shapes.
fn site(d: &mut Dice, t: Vec<f64>, load: Vec<f64>, start: f64, leaking: Option<bool>) -> Made {
    let span = t[t.len() - 1];
    let dt = t[1] - t[0];
    let size = d.scale(1e3, 2e8);
    let shape = d.below(8);
    let slow = wander(d, &t, 0.0, 1.0);
    let tau = d.scale(0.02, 0.45) * span;
    let double = d.scale(0.01, 0.3) * span;
    let (mut filled, mut spike, mut rare) = (0.0, 0.0, 0.0);
    let (often, rarely) = (dt / (d.scale(0.005, 0.1) * span), dt / (d.scale(0.2, 2.0) * span));
    let noise = d.scale(0.0005, 0.03);
    let mut v = Vec::with_capacity(t.len());
    for (i, now) in t.iter().enumerate() {
        let x = match shape {
            0 => 1.0 + noise * slow[i],
            1 => load[i] * (1.0 + noise * slow[i]),
            2 => (slow[i] + 1.0).max(0.0),
            3 => {
                filled += (1.0 - filled) * (1.0 - (-load[i] * dt / tau).exp());
                filled
            }
            4 => (1.0 + now / double * load[0]).log2().floor().exp2() / 8.0,
            5 => {
                spike = if d.chance(often) { d.unit() } else { spike * (-dt / 120.0f64).exp() };
                spike
            }
            6 => {
                rare += if d.chance(rarely) { d.unit() } else { 0.0 };
                rare
            }
            _ => (slow[i].abs() + 0.1) * load[i],
        };
        v.push(size * x.max(0.0));
    }
    let leak = if leaking.unwrap_or(d.chance(0.3)) {
        let base = v.iter().sum::<f64>() / v.len() as f64 + 0.1 * size;
        Some(add_leak(d, &mut v, &t, &load, base, span, &[]))
    } else {
        None
    };
    let values = v.iter().map(|x| x.max(0.0).round()).collect();
    Made { times_s: t.iter().map(|t| start + t.round()).collect(), values, load, leak, background: "site" }
}

/// Some series miss rows here and there, or a stretch.
fn gaps(d: &mut Dice, made: Made) -> Made {
    if !d.chance(0.2) {
        return made;
    }
    let n = made.values.len();
    let hole = if d.chance(0.5) { (d.below(n), (d.between(0.0, 0.08) * n as f64) as usize) } else { (0, 0) };
    let lost = d.between(0.0, 0.1);
    let keep: Vec<bool> =
        (0..n).map(|i| i == 0 || !((hole.0..hole.0 + hole.1).contains(&i) || d.chance(lost))).collect();
    let kept = |x: &[f64]| x.iter().zip(&keep).filter(|(_, k)| **k).map(|(x, _)| *x).collect::<Vec<_>>();
    Made { times_s: kept(&made.times_s), values: kept(&made.values), load: kept(&made.load), ..made }
}
