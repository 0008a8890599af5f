//! A histogram whose old samples fade: the state of the Vertical Pod Autoscaler's recommender.
//!
//! It exists so that `--strategy vpa` answers what the VPA itself would answer; the rules (bucket bounds, the end of a
//! bucket as its percentile, what counts as empty, when weights are scaled) follow `recommender/util` of
//! kubernetes/autoscaler to the bit where the result depends on them.
//!
//! Invariant: `min_bucket` and `max_bucket` are the outermost buckets whose weight is at least `epsilon`. Weights are
//! relative: a sample at time t weighs 2^((t − reference) / half-life), and the reference moves before that overflows.

/// Exponents past this move the reference time forward.
const MAX_DECAY_EXPONENT: f64 = 100.0;

/// Where the buckets of a histogram begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Buckets {
    /// Bucket `i` begins at `i · size`.
    Linear {
        /// Buckets in all.
        count: usize,
        /// Width of each.
        size: f64,
    },
    /// Bucket `i` is `ratio` times as wide as the one before and begins at `first · (ratio^i − 1) / (ratio − 1)`.
    Exponential {
        /// Buckets in all.
        count: usize,
        /// Width of the first.
        first: f64,
        /// Growth of the width, over 1.
        ratio: f64,
    },
}

impl Buckets {
    /// Buckets of one size; the last begins at `max` or above. `None` unless both are positive.
    pub fn linear(max: f64, size: f64) -> Option<Buckets> {
        (max > 0.0 && size > 0.0).then(|| Buckets::Linear { count: (max / size).ceil() as usize + 1, size })
    }

    /// Buckets that grow by `ratio`; the last begins at `max` or above. `None` unless sizes are positive and `ratio` > 1.
    pub fn exponential(max: f64, first: f64, ratio: f64) -> Option<Buckets> {
        let valid = max > 0.0 && first > 0.0 && ratio > 1.0;
        valid.then(|| {
            let count = log(ratio, max * (ratio - 1.0) / first + 1.0).ceil() as usize + 1;
            Buckets::Exponential { count, first, ratio }
        })
    }

    /// Buckets in all, at least 2.
    pub fn count(&self) -> usize {
        match *self {
            Buckets::Linear { count, .. } | Buckets::Exponential { count, .. } => count,
        }
    }

    /// The bucket that holds `value`; values outside fall into the first or the last.
    pub fn index_of(&self, value: f64) -> usize {
        let raw = match *self {
            Buckets::Linear { size, .. } => value / size,
            Buckets::Exponential { first, .. } if value < first => 0.0,
            Buckets::Exponential { first, ratio, .. } => log(ratio, value * (ratio - 1.0) / first + 1.0),
        };
        // A cast saturates: negative and NaN become 0.
        (raw as usize).min(self.count() - 1)
    }

    /// Where bucket `index` begins.
    pub fn start(&self, index: usize) -> f64 {
        match *self {
            Buckets::Linear { size, .. } => index as f64 * size,
            Buckets::Exponential { .. } if index == 0 => 0.0,
            Buckets::Exponential { first, ratio, .. } => first * (ratio.powf(index as f64) - 1.0) / (ratio - 1.0),
        }
    }
}

fn log(base: f64, x: f64) -> f64 {
    x.ln() / base.ln()
}

/// The histogram. Values are bytes; times epoch seconds.
#[derive(Debug, Clone)]
pub struct DecayingHistogram {
    buckets: Buckets,
    epsilon: f64,
    half_life_s: f64,
    /// A multiple of the half-life; `None` before the first sample.
    reference_s: Option<f64>,
    weights: Vec<f64>,
    total: f64,
    min_bucket: usize,
    max_bucket: usize,
}

impl DecayingHistogram {
    /// An empty histogram. Buckets lighter than `epsilon` count as empty.
    pub fn new(buckets: Buckets, half_life_s: f64, epsilon: f64) -> DecayingHistogram {
        let count = buckets.count();
        DecayingHistogram {
            buckets,
            epsilon,
            half_life_s,
            reference_s: None,
            weights: vec![0.0; count],
            total: 0.0,
            min_bucket: count - 1,
            max_bucket: 0,
        }
    }

    /// Adds a sample. A weight that is negative or not finite is ignored.
    pub fn add(&mut self, value: f64, weight: f64, at_s: f64) {
        if !(weight >= 0.0 && weight.is_finite() && at_s.is_finite()) {
            return;
        }
        let weight = weight * self.decay_factor(at_s);
        let bucket = self.buckets.index_of(value);
        self.weights[bucket] += weight;
        self.total += weight;
        if self.weights[bucket] >= self.epsilon {
            self.min_bucket = self.min_bucket.min(bucket);
            self.max_bucket = self.max_bucket.max(bucket);
        }
    }

    /// Takes back a sample that was added before. Never below zero.
    pub fn subtract(&mut self, value: f64, weight: f64, at_s: f64) {
        if !(weight >= 0.0 && weight.is_finite() && at_s.is_finite()) {
            return;
        }
        let weight = weight * self.decay_factor(at_s);
        let bucket = self.buckets.index_of(value);
        let whole = weight > self.weights[bucket] - self.epsilon;
        let taken = if whole { self.weights[bucket] } else { weight };
        self.total -= taken;
        self.weights[bucket] -= taken;
        self.update_bounds();
    }

    /// Adds every sample of `other`. Does nothing unless both have the same buckets and half-life.
    pub fn merge(&mut self, mut other: DecayingHistogram) {
        if self.buckets != other.buckets || self.half_life_s != other.half_life_s {
            return;
        }
        match (self.reference_s, other.reference_s) {
            (_, None) => return,
            (None, Some(_)) => self.reference_s = other.reference_s,
            (Some(a), Some(b)) if a < b => self.shift_reference(b),
            (Some(a), Some(_)) => other.shift_reference(a),
        }
        for (into, from) in self.weights.iter_mut().zip(&other.weights) {
            *into += from;
        }
        self.total += other.total;
        self.min_bucket = self.min_bucket.min(other.min_bucket);
        self.max_bucket = self.max_bucket.max(other.max_bucket);
    }

    /// The end of the bucket in which the share `p` of the weight is reached (the start of the last bucket, which has no
    /// end); 0 when empty.
    pub fn percentile(&self, p: f64) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let threshold = p * self.total;
        let mut sum = 0.0;
        let mut bucket = self.min_bucket;
        while bucket < self.max_bucket {
            sum += self.weights[bucket];
            if sum >= threshold {
                break;
            }
            bucket += 1;
        }
        self.buckets.start((bucket + 1).min(self.buckets.count() - 1))
    }

    /// No bucket has any weight to speak of.
    pub fn is_empty(&self) -> bool {
        self.weights[self.min_bucket] < self.epsilon
    }

    fn decay_factor(&mut self, at_s: f64) -> f64 {
        let latest = self.reference_s.map(|r| r + self.half_life_s * MAX_DECAY_EXPONENT);
        if latest.is_none_or(|latest| at_s > latest) {
            self.shift_reference(at_s);
        }
        ((at_s - self.reference_s.unwrap_or(at_s)) / self.half_life_s).exp2()
    }

    fn shift_reference(&mut self, to_s: f64) {
        let to_s = (to_s / self.half_life_s).round() * self.half_life_s;
        if let Some(from_s) = self.reference_s {
            self.scale(((from_s - to_s) / self.half_life_s).round().exp2());
        }
        self.reference_s = Some(to_s);
    }

    fn scale(&mut self, factor: f64) {
        self.weights.iter_mut().for_each(|w| *w *= factor);
        self.total *= factor;
        self.update_bounds();
    }

    fn update_bounds(&mut self) {
        let last = self.weights.len() - 1;
        while self.weights[self.min_bucket] < self.epsilon && self.min_bucket < last {
            self.min_bucket += 1;
        }
        while self.weights[self.max_bucket] < self.epsilon && self.max_bucket > 0 {
            self.max_bucket -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: f64 = 3600.0;
    const START: f64 = 1_234_567_890.0;

    fn tens() -> DecayingHistogram {
        DecayingHistogram::new(Buckets::linear(10.0, 1.0).unwrap(), HOUR, 1e-15)
    }

    #[test]
    fn empty_is_zero_at_any_percentile() {
        assert_eq!([-0.5, 0.0, 0.5, 1.0, 1.5].map(|p| tens().percentile(p)), [0.0; 5]);
    }

    #[test]
    fn published_percentiles_of_a_decaying_histogram() {
        let mut h = tens();
        for i in 1..=4 {
            h.add(f64::from(i), f64::from(i), START + f64::from(i - 1) * HOUR);
        }
        let at = [0.0, 0.02, 0.03, 0.10, 0.11, 0.34, 0.35, 1.0].map(|p| h.percentile(p));
        assert_eq!(at, [2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
    }

    #[test]
    fn published_percentiles_without_decay() {
        let mut h = tens();
        for i in 1..=4 {
            h.add(f64::from(i), f64::from(i), START);
        }
        let at = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 1.0].map(|p| h.percentile(p));
        assert_eq!(at, [2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
    }

    #[test]
    fn a_heavy_sample_fades_in_twenty_half_lives_but_not_wholly() {
        let mut h = tens();
        h.add(2.0, 1000.0, START);
        h.add(1.0, 1.0, START + 20.0 * HOUR);
        assert_eq!((h.percentile(0.999), h.percentile(1.0)), (2.0, 3.0));
    }

    #[test]
    fn past_the_largest_exponent_the_old_sample_is_gone() {
        let mut h = tens();
        h.add(2.0, 1.0, START);
        h.add(1.0, 1.0, START + 101.0 * HOUR);
        assert_eq!(h.percentile(1.0), 2.0);
    }

    #[test]
    fn percentiles_out_of_range_give_the_outermost_buckets() {
        let mut h = DecayingHistogram::new(Buckets::linear(1.0, 0.1).unwrap(), HOUR, 1e-15);
        h.add(0.1, 0.1, 0.0);
        h.add(0.2, 0.2, 0.0);
        assert!((h.percentile(-0.1) - 0.2).abs() < 1e-12 && (h.percentile(1.1) - 0.3).abs() < 1e-12);
        h.add(0.0, 0.1, 0.0);
        h.add(1.0, 0.2, 0.0);
        assert!((h.percentile(-0.1) - 0.1).abs() < 1e-12 && (h.percentile(1.1) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn subtracting_to_below_epsilon_empties_and_light_samples_do_not() {
        let eps = 1e-15;
        let mut h = DecayingHistogram::new(Buckets::linear(1.0, 0.1).unwrap(), HOUR, eps);
        h.add(0.1, eps * 2.5, 0.0);
        h.subtract(0.1, eps, 0.0);
        assert!(!h.is_empty());
        h.subtract(0.1, eps, 0.0);
        assert!(h.is_empty());
        h.add(9.9, eps * 3.0, 0.0);
        h.add(0.1, eps * 0.3, 0.0);
        h.add(999.9, eps * 0.3, 0.0);
        assert!(!h.is_empty());
    }

    #[test]
    fn merging_equals_adding_in_one_place() {
        let (mut a, mut b, mut both) = (tens(), tens(), tens());
        a.add(1.0, 1.0, START);
        a.add(2.0, 1.0, START + HOUR);
        b.add(2.0, 1.0, START + 2.0 * HOUR);
        b.add(3.0, 1.0, START + HOUR);
        for (v, h) in [(2.0, 2.0), (2.0, 1.0), (3.0, 1.0), (1.0, 0.0)] {
            both.add(v, 1.0, START + h * HOUR);
        }
        a.merge(b);
        let apart = |(x, y): (&f64, &f64)| (x - y).abs() > 1e-15;
        assert!(!a.weights.iter().zip(&both.weights).any(apart));
        assert_eq!((a.min_bucket, a.max_bucket), (both.min_bucket, both.max_bucket));
    }

    #[test]
    fn memory_buckets_are_the_recommenders() {
        let b = Buckets::exponential(1e12, 1e7, 1.05).unwrap();
        assert_eq!(b.count(), 176);
        assert_eq!((b.index_of(0.0), b.index_of(9.99e6), b.index_of(1e7), b.index_of(f64::INFINITY)), (0, 0, 1, 175));
        assert!((b.start(2) - 2.05e7).abs() < 1.0);
    }
}
