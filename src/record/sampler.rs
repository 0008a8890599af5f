//! When the next sample is due, and what a sample stands for.
//!
//! Every allocated byte has the same chance to be sampled. The distance to the next sampled byte is exponential with mean
//! `interval`, so an allocation of `size` bytes holds at least one sampled byte with probability
//!
//! ```text
//! P = 1 − e^(−size/interval)
//! ```
//!
//! and is one sample then, however many of its bytes were hit. One sample stands for 1/P allocations of its size (the
//! inverse-probability or Horvitz–Thompson estimate), hence for size/P bytes. Because the exponential has no memory, the
//! next distance is drawn anew from the end of the sampled allocation, and may be drawn anew at any moment: that is what
//! makes a change of the interval unbiased. The weight is taken from the interval that the distance was drawn with.

/// Bytes to the next sampled byte: at least 1, exponential with mean `interval`.
pub fn distance(random: u64, interval: u64) -> u64 {
    // 53 bits, in (0, 1]: ln of it is finite and not positive.
    let uniform = ((random >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64);
    let exact = -uniform.ln() * interval as f64;
    // An allocation of s bytes is hit if s ≥ exact; s is whole, so rounding up changes no probability.
    (exact.ceil() as u64).max(1)
}

/// The chance that an allocation of `size` bytes is sampled. Positive for a positive size; 1 at most.
pub fn probability(size: u64, interval: u64) -> f64 {
    if interval == 0 {
        return 1.0;
    }
    // expm1 keeps its digits for sizes far below the interval, where 1 − e^(−x) would lose them.
    -(-(size as f64) / interval as f64).exp_m1()
}

/// A small generator for the distances (SplitMix64, Steele et al. 2014). One a thread; the state is never 0-sensitive.
pub fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of sampled allocations is P: a binomial test at 4.9 standard deviations, false alarm below 1 in 10^6.
    #[test]
    fn an_allocation_is_sampled_with_its_probability() {
        let mut state = 7;
        for (size, interval) in [(1u64, 64u64), (48, 512), (512, 512), (4096, 512), (3, 2)] {
            let trials = 400_000;
            let hits = (0..trials).filter(|_| distance(next_random(&mut state), interval) <= size).count();
            let p = probability(size, interval);
            let sd = (p * (1.0 - p) / trials as f64).sqrt().max(1e-9);
            let z = (hits as f64 / trials as f64 - p) / sd;
            assert!(z.abs() < 4.9, "size {size}, interval {interval}: z = {z}");
        }
    }

    #[test]
    fn probability_keeps_its_digits_and_its_range() {
        assert_eq!(probability(1, 0), 1.0);
        assert_eq!(probability(u64::MAX, 1), 1.0);
        let tiny = probability(1, 1 << 60);
        assert!((tiny * (1u64 << 60) as f64 - 1.0).abs() < 1e-12);
    }
}
