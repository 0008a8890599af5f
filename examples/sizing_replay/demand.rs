//! What services would use if nothing limited them: seeded series of several shapes, a value a minute.

use std::f64::consts::TAU;

pub const MIB: f64 = 1024.0 * 1024.0;
pub const DAY: usize = 1440;

/// A generator of random numbers that gives the same on every machine (SplitMix64; Steele et al. 2014).
pub struct Rng(pub u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Standard normal (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Steady,
    Diurnal,
    Weekly,
    StartUp,
    Batch,
    Growth,
    Deploys,
    Spiky,
    Starved,
    Leak,
}

pub const SHAPES: [Shape; 10] = [
    Shape::Steady,
    Shape::Diurnal,
    Shape::Weekly,
    Shape::StartUp,
    Shape::Batch,
    Shape::Growth,
    Shape::Deploys,
    Shape::Spiky,
    Shape::Starved,
    Shape::Leak,
];

/// One service.
pub struct Service {
    /// What a scrape at that minute sees, bytes.
    pub scraped: Vec<f64>,
    /// The highest use within that minute, bytes.
    pub highest: Vec<f64>,
    /// Growth that stays until the process ends, bytes a minute; 0 for all but leaks.
    pub leak_per_minute: f64,
    /// Minutes at which the process starts anew (deploys).
    pub starts: Vec<usize>,
    /// Request and limit that its owner set, bytes.
    pub initial: f64,
}

/// What makes one service differ from the next of its shape. Sizes in bytes.
struct Character {
    shape: Shape,
    base: f64,
    /// Part of the day by which its rhythm is shifted, 0–1.
    phase: f64,
    noise: f64,
    swing: f64,
    startup: f64,
    growth_per_minute: f64,
    /// Day of the week that is busier, 0–6.
    busy_day: usize,
    /// How large each night's batch is.
    nights: Vec<f64>,
    /// How busy each day is.
    days: Vec<f64>,
    wander: f64,
    burst: f64,
}

impl Character {
    fn new(shape: Shape, base: f64, seed: u64, days: usize, rng: &mut Rng) -> Character {
        Character {
            shape,
            base,
            phase: rng.unit(),
            noise: base * rng.between(0.002, 0.01),
            swing: base * rng.between(0.15, 0.5),
            startup: rng.between(0.2, 0.6) * base,
            growth_per_minute: rng.between(0.02, 0.10) / (7 * DAY) as f64,
            busy_day: (7 - (seed % 7) as usize) % 7,
            nights: (0..=days).map(|_| (0.35 * rng.normal()).exp()).collect(),
            days: (0..=days).map(|_| 1.0 + 0.04 * rng.normal()).collect(),
            wander: 0.0,
            burst: 0.0,
        }
    }

    /// Use at a minute of a process that is `age` minutes old at `level`, and by how much it peaks within that minute.
    fn minute(&mut self, minute: usize, age: f64, level: f64, rng: &mut Rng) -> (f64, f64) {
        self.wander = 0.995 * self.wander + 0.1 * self.noise * rng.normal();
        let (day, hour) = (minute / DAY, (minute % DAY) as f64 / DAY as f64);
        let load = (0.5 - 0.5 * (TAU * (hour + self.phase)).cos()) * self.days[day];
        let (more, within) = self.above_base(minute, age, load, rng);
        ((self.base * level + self.wander + more).max(MIB), within)
    }

    fn above_base(&mut self, minute: usize, age: f64, load: f64, rng: &mut Rng) -> (f64, f64) {
        let (base, swing) = (self.base, self.swing);
        let rhythm = swing * load;
        match self.shape {
            Shape::Steady | Shape::Leak => (0.1 * rhythm, 0.0),
            Shape::Diurnal | Shape::Deploys | Shape::Starved => (rhythm, 0.0),
            Shape::Weekly => (rhythm * if (minute / DAY) % 7 == self.busy_day { 2.2 } else { 1.0 }, 0.0),
            Shape::StartUp => (0.3 * rhythm, if age < 4.0 { self.startup * (1.0 - age / 5.0) } else { 0.0 }),
            Shape::Batch => (self.batch(minute), 0.0),
            Shape::Growth => ((rhythm + base * 0.5) * (1.0 + self.growth_per_minute * minute as f64) - base * 0.5, 0.0),
            Shape::Spiky => {
                let burst = self.spike(rng);
                let within = if burst > 0.05 * swing { 0.15 * burst * rng.unit() } else { 0.0 };
                (0.3 * rhythm + burst, within)
            }
        }
    }

    /// A job that fills for an hour and a half each night.
    fn batch(&self, minute: usize) -> f64 {
        let at = ((minute % DAY) as f64 / DAY as f64 + self.phase).fract();
        if at < 0.06 { 0.6 * self.base * self.nights[minute / DAY] * (at / 0.06) } else { 0.0 }
    }

    /// Some three bursts a day that fade in minutes.
    fn spike(&mut self, rng: &mut Rng) -> f64 {
        self.burst *= 0.8;
        if rng.unit() < 0.002 {
            self.burst = self.swing * rng.between(0.2, 1.0);
        }
        self.burst
    }
}

/// `minutes` of a service of `shape`; the same for the same `seed`.
pub fn service(shape: Shape, seed: u64, minutes: usize) -> Service {
    let mut rng = Rng(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ shape as u64);
    let base = (rng.between(5.7, 8.3)).exp() * MIB;
    let days = minutes / DAY;
    let mut character = Character::new(shape, base, seed, days, &mut rng);
    let starts = starts(shape, &mut rng, days);
    let levels = levels(shape, &mut rng, &starts, minutes);
    let (mut scraped, mut highest) = (Vec::with_capacity(minutes), Vec::with_capacity(minutes));
    let mut started = 0;
    for (minute, level) in levels.into_iter().enumerate() {
        if starts.contains(&minute) {
            started = minute;
        }
        let (value, within) = character.minute(minute, (minute - started) as f64, level, &mut rng);
        scraped.push(value + within * rng.unit());
        highest.push(value + within);
    }
    let first_week = &highest[..(7 * DAY).min(minutes)];
    let factor = if shape == Shape::Starved { rng.between(0.80, 0.95) } else { rng.between(1.3, 2.5) };
    let leak_per_minute = if shape == Shape::Leak { base * rng.between(0.03, 0.10) / DAY as f64 } else { 0.0 };
    let initial = first_week.iter().copied().fold(0.0, f64::max) * factor;
    Service { scraped, highest, leak_per_minute, starts, initial }
}

/// Deploys: every few days for services that are deployed, every other week for those that leak, else never again.
fn starts(shape: Shape, rng: &mut Rng, days: usize) -> Vec<usize> {
    let every = match shape {
        Shape::StartUp => rng.between(2.0, 5.0),
        Shape::Deploys => rng.between(6.0, 12.0),
        Shape::Leak => rng.between(9.0, 16.0),
        _ => return vec![0],
    };
    let count = (days as f64 / every) as usize;
    let minute = |i: usize, rng: &mut Rng| ((i as f64 * every + rng.between(0.0, 1.0)) * DAY as f64) as usize;
    let mut all: Vec<usize> = (1..=count).map(|i| minute(i, rng)).collect();
    all.insert(0, 0);
    all
}

/// The level of a service at each minute; a deploy may change it by up to a fifth.
fn levels(shape: Shape, rng: &mut Rng, starts: &[usize], minutes: usize) -> Vec<f64> {
    let mut level = 1.0;
    let mut out = vec![1.0; minutes];
    for (i, &from) in starts.iter().enumerate() {
        if shape == Shape::Deploys && i > 0 {
            level *= 1.0 + rng.between(-0.15, 0.2);
        }
        out[from.min(minutes)..].fill(level);
    }
    out
}
