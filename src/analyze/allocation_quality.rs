//! How well the sizes of allocations suit an allocator.
//!
//! Medium sizes are served best: a tiny block is mostly header and rounding, a very large one is mapped, zeroed and unmapped by the
//! kernel each time. The score of one size follows bands that operators use: excellent (0.9–1) for medium sizes, good (0.7–0.9)
//! for small ones, poor (0.3–0.7) for tiny or large ones, bad below. It is a rule of thumb about sizes; alignment does not show in a
//! histogram of sizes and has no part in it.

use crate::snapshot::SizeBucket;

/// Scores of sizes, straight in the size's logarithm between them: the bands meet where the size categories do.
const SCORES: [(f64, f64); 9] = [
    (1.0, 0.1),
    (16.0, 0.3),
    (1024.0, 0.7),
    (65_536.0, 0.9),
    (262_144.0, 1.0),
    (1_048_576.0, 0.9),
    (4_194_304.0, 0.7),
    (16_777_216.0, 0.3),
    (268_435_456.0, 0.1),
];

/// The mean score of the allocations, 0–1, half by calls and half by bytes: many tiny ones and a few huge ones both show. `None`
/// without allocations.
pub fn efficiency(sizes: &[SizeBucket]) -> Option<f64> {
    let used: Vec<&SizeBucket> = sizes.iter().filter(|b| b.count > 0.0 && b.sum_bytes > 0.0).collect();
    let by_calls = mean(&used, |b| b.count)?;
    let by_bytes = mean(&used, |b| b.sum_bytes)?;
    Some((by_calls + by_bytes) / 2.0)
}

fn mean(sizes: &[&SizeBucket], weight: fn(&SizeBucket) -> f64) -> Option<f64> {
    let total: f64 = sizes.iter().map(|b| weight(b)).sum();
    let weighed: f64 = sizes.iter().map(|b| weight(b) * score(b.sum_bytes / b.count)).sum();
    (total > 0.0).then_some(weighed / total).filter(|m| m.is_finite())
}

fn score(size: f64) -> f64 {
    let above = SCORES.iter().position(|(s, _)| size < *s);
    let Some(above) = above else { return SCORES[SCORES.len() - 1].1 };
    let Some(below) = above.checked_sub(1) else { return SCORES[0].1 };
    let ((from, low), (to, high)) = (SCORES[below], SCORES[above]);
    low + (high - low) * (size / from).log2() / (to / from).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: &[(f64, f64)]) -> Option<f64> {
        let bucket = |(size, count): &(f64, f64)| SizeBucket { upper_bytes: 0, count: *count, sum_bytes: size * count };
        efficiency(&sizes.iter().map(bucket).collect::<Vec<_>>())
    }

    #[test]
    fn one_size_scores_as_its_band() {
        let near = |sizes: &[(f64, f64)], wanted: f64| assert!((of(sizes).unwrap() - wanted).abs() < 1e-9, "{sizes:?}");
        near(&[(262_144.0, 7.0)], 1.0);
        near(&[(128.0, 1e9)], 0.5);
        near(&[(8192.0, 3.0)], 0.8);
        near(&[(0.5, 1.0)], 0.1);
        near(&[(1e12, 1.0)], 0.1);
    }

    #[test]
    fn calls_and_bytes_count_alike() {
        // Almost all calls are of 16 bytes (0.3), almost all bytes of 256 KiB (1.0).
        assert!((of(&[(16.0, 1e6), (262_144.0, 1e4)]).unwrap() - 0.65).abs() < 0.01);
    }

    #[test]
    fn nothing_has_no_score() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(16.0, 0.0)]), None);
        assert_eq!(of(&[(f64::NAN, 1.0)]), None);
    }
}
