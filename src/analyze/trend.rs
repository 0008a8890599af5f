//! Trends that a few wild points cannot move: Theil–Sen slopes with an interval, the Mann–Kendall test, and the
//! correction of both for autocorrelation.
//!
//! Memory series are autocorrelated; a test that takes their points for independent finds trends everywhere. So the
//! variance of Kendall's S is inflated after Hamed and Rao (J. Hydrology 204, 1998) unless the plain test is asked for.
//! Invariant: work is bounded. Above [`MAX_POINTS`] points, medians of runs of neighbours stand for them.
//! No seasons are removed here.

use serde::Serialize;

/// The most points that are compared pair by pair; more are first thinned to medians of equal runs.
pub const MAX_POINTS: usize = 400;
/// Fewer points than this have no trend worth naming.
pub const MIN_POINTS: usize = 4;
/// The two-sided confidence of a [`Slope`]'s interval.
pub const SLOPE_LEVEL: f64 = 0.9;
const SLOPE_Z: f64 = 1.644_853_626_951_472_6;
const LAG_Z: f64 = 1.959_963_984_540_054;

/// A robust straight line: units of the values per second of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slope {
    /// The median of the slopes of all pairs.
    pub per_s: f64,
    /// Lower end of the interval at [`SLOPE_LEVEL`].
    pub lower: f64,
    /// Upper end of the interval at [`SLOPE_LEVEL`].
    pub upper: f64,
    /// The line's value at the first time.
    pub intercept: f64,
}

/// The result of a Mann–Kendall test for a monotone trend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MannKendall {
    /// Rising pairs less falling pairs.
    pub s: f64,
    /// S in standard deviations (continuity corrected); positive when rising.
    pub z: f64,
    /// Two-sided probability of so large an S without a trend.
    pub p: f64,
    /// By how much autocorrelation inflated the variance of S; 1 in the plain test.
    pub inflation: f64,
}

/// The Theil–Sen line through the points (Sen, JASA 63, 1968), its interval widened for autocorrelation.
/// `None` under [`MIN_POINTS`] finite points or when all have one time.
pub fn theil_sen(times_s: &[f64], values: &[f64]) -> Option<Slope> {
    let (t, v) = thinned(times_s, values)?;
    let mut slopes = pair_slopes(&t, &v);
    let pairs = slopes.len();
    if pairs == 0 {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let per_s = median_of_sorted(&slopes)?;
    let variance = kendall_variance(&v) * inflation(&detrended(&t, &v, per_s));
    let half = SLOPE_Z * variance.max(0.0).sqrt();
    let at = |rank: f64| slopes.get((rank.max(0.0) as usize).min(pairs - 1)).copied();
    let lower = at(((pairs as f64 - half) / 2.0).floor())?;
    let upper = at(((pairs as f64 + half) / 2.0).ceil())?;
    let mut levels = detrended(&t, &v, per_s);
    Some(Slope { per_s, lower, upper, intercept: median(&mut levels)? })
}

/// The plain Mann–Kendall test, which takes the points for independent. `None` under [`MIN_POINTS`] finite values.
pub fn mann_kendall(values: &[f64]) -> Option<MannKendall> {
    let (_, v) = thinned(&row_numbers(values), values)?;
    Some(tested(&v, 1.0))
}

/// The Mann–Kendall test with Hamed and Rao's variance for autocorrelated points. `None` under [`MIN_POINTS`] finite
/// values. Points are taken as evenly spaced.
pub fn mann_kendall_hamed_rao(values: &[f64]) -> Option<MannKendall> {
    let (t, v) = thinned(&row_numbers(values), values)?;
    let mut slopes = pair_slopes(&t, &v);
    let per_row = median(&mut slopes)?;
    Some(tested(&v, inflation(&detrended(&t, &v, per_row))))
}

fn row_numbers(values: &[f64]) -> Vec<f64> {
    (0..values.len()).map(|i| i as f64).collect()
}

fn tested(v: &[f64], inflation: f64) -> MannKendall {
    let s = kendall_s(v);
    let sd = (kendall_variance(v) * inflation).sqrt();
    let z = if sd > 0.0 && s != 0.0 { (s - s.signum()) / sd } else { 0.0 };
    MannKendall { s, z, p: two_sided(z), inflation }
}

/// Two-sided tail of the standard normal distribution.
fn two_sided(z: f64) -> f64 {
    statrs::function::erf::erfc(z.abs() / std::f64::consts::SQRT_2)
}

fn kendall_s(v: &[f64]) -> f64 {
    let later = |i: usize| v.iter().skip(i + 1);
    v.iter().enumerate().map(|(i, a)| later(i).map(|b| sign(b - a)).sum::<f64>()).sum()
}

fn sign(x: f64) -> f64 {
    f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

/// Variance of S for independent points, less what ties take from it (Kendall 1975).
fn kendall_variance(v: &[f64]) -> f64 {
    let n = v.len() as f64;
    let mut sorted = v.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|run| term(run.len() as f64)).sum();
    (term(n) - ties) / 18.0
}

fn term(n: f64) -> f64 {
    n * (n - 1.0) * (2.0 * n + 5.0)
}

/// Hamed and Rao's factor n/n*, from the significant autocorrelations of the ranks of the detrended values; at least 1.
fn inflation(detrended: &[f64]) -> f64 {
    let ranks = centred_ranks(detrended);
    let n = ranks.len();
    let power: f64 = ranks.iter().map(|r| r * r).sum();
    if n < MIN_POINTS || power <= 0.0 {
        return 1.0;
    }
    let nf = n as f64;
    let significant = LAG_Z / nf.sqrt();
    let sum: f64 = (1..n.saturating_sub(2))
        .map(|lag| (lag as f64, autocovariance(&ranks, lag) / power))
        .filter(|(_, r)| r.abs() > significant)
        .map(|(k, r)| (nf - k) * (nf - k - 1.0) * (nf - k - 2.0) * r)
        .sum();
    (1.0 + 2.0 * sum / (nf * (nf - 1.0) * (nf - 2.0))).max(1.0)
}

fn autocovariance(x: &[f64], lag: usize) -> f64 {
    x.iter().zip(x.iter().skip(lag)).map(|(a, b)| a * b).sum()
}

/// Ranks with ties sharing their mean, less the mean of all ranks.
fn centred_ranks(v: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = v.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mean = (v.len() as f64 - 1.0) / 2.0;
    let mut ranks = vec![0.0; v.len()];
    let mut before = 0usize;
    for run in order.chunk_by(|a, b| a.0 == b.0) {
        let shared = before as f64 + (run.len() as f64 - 1.0) / 2.0 - mean;
        for &(_, row) in run {
            if let Some(r) = ranks.get_mut(row) {
                *r = shared;
            }
        }
        before += run.len();
    }
    ranks
}

fn detrended(t: &[f64], v: &[f64], per_s: f64) -> Vec<f64> {
    t.iter().zip(v).map(|(t, v)| v - per_s * t).collect()
}

fn pair_slopes(t: &[f64], v: &[f64]) -> Vec<f64> {
    let points: Vec<(f64, f64)> = t.iter().copied().zip(v.iter().copied()).collect();
    let mut out = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (i, a) in points.iter().enumerate() {
        let later = points.iter().skip(i + 1).filter(|b| b.0 != a.0);
        out.extend(later.map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    out
}

/// The finite points, at most [`MAX_POINTS`] of them, times counted from the first (so that nothing is lost to the size
/// of epoch seconds).
fn thinned(times_s: &[f64], values: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let finite = |&(t, v): &(f64, f64)| t.is_finite() && v.is_finite();
    let points: Vec<(f64, f64)> = times_s.iter().copied().zip(values.iter().copied()).filter(finite).collect();
    if points.len() < MIN_POINTS {
        return None;
    }
    let origin = points.first()?.0;
    let run = points.len().div_ceil(MAX_POINTS);
    let median_by =
        |rows: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| median(&mut rows.iter().map(of).collect::<Vec<_>>());
    let runs = points.chunks(run);
    let pairs: Option<Vec<(f64, f64)>> =
        runs.map(|rows| Some((median_by(rows, |p| p.0)? - origin, median_by(rows, |p| p.1)?))).collect();
    Some(pairs?.into_iter().unzip())
}

/// The median, which reorders its input; `None` for nothing. Of an even number, the mean of the middle two.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let mid = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(mid, f64::total_cmp);
    let upper = *upper;
    let lower = if even { below.iter().copied().max_by(f64::total_cmp)? } else { upper };
    Some((lower + upper) / 2.0)
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let mid = sorted.len() / 2;
    let upper = *sorted.get(mid)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (upper + sorted.get(mid.checked_sub(1)?)?) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard normal values of a fixed seed (Box–Muller over splitmix64).
    struct Noise(u64);

    impl Noise {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (a, b) = (self.uniform().max(1e-300), self.uniform());
            (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
        }

        fn ar1(&mut self, n: usize, rho: f64) -> Vec<f64> {
            let mut x = self.normal() / (1.0 - rho * rho).sqrt();
            let mut next = || {
                x = rho * x + self.normal();
                x
            };
            (0..n).map(|_| next()).collect()
        }
    }

    #[test]
    fn an_exact_line_is_found_exactly_at_epoch_times() {
        let t: Vec<f64> = (0..50).map(|i| 1.7e9 + 60.0 * f64::from(i)).collect();
        let v: Vec<f64> = (0..50).map(|i| 1e9 + 120.0 * f64::from(i)).collect();
        let s = theil_sen(&t, &v).unwrap();
        assert_eq!((s.per_s, s.lower, s.upper, s.intercept), (2.0, 2.0, 2.0, 1e9));
    }

    #[test]
    fn a_quarter_of_wild_points_does_not_move_the_slope() {
        let t: Vec<f64> = (0..100).map(f64::from).collect();
        let v: Vec<f64> = (0..100).map(|i| if i % 4 == 0 { 1e9 } else { 3.0 * f64::from(i) }).collect();
        let s = theil_sen(&t, &v).unwrap();
        assert!((s.per_s - 3.0).abs() < 0.2, "{s:?}");
    }

    #[test]
    fn thin_or_unusable_input_gives_none() {
        assert_eq!(theil_sen(&[], &[]), None);
        assert_eq!(theil_sen(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(theil_sen(&[1.0; 9], &[1.0; 9]), None);
        assert_eq!(theil_sen(&[f64::NAN; 9], &[1.0; 9]), None);
        assert_eq!(mann_kendall(&[f64::NAN; 9]), None);
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn a_constant_has_no_trend() {
        let m = mann_kendall_hamed_rao(&[5.0; 30]).unwrap();
        assert_eq!((m.s, m.z, m.inflation), (0.0, 0.0, 1.0));
        assert_eq!(m.p, 1.0);
    }

    #[test]
    fn kendalls_s_of_a_rising_row_is_the_number_of_pairs() {
        let m = mann_kendall(&(0..20).map(f64::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(m.s, 190.0);
        assert!((m.z - 189.0 / 950f64.sqrt()).abs() < 1e-12);
    }

    /// 400 rows of noise without a trend, tested at 5 %: independent noise under the plain test gives 20 ± 4.4 (the
    /// bound is five standard deviations); autocorrelated noise breaks the plain test, and the correction mends a third or
    /// more of it (at this length it stays too liberal, which is known of short rows).
    #[test]
    fn false_alarm_rates_are_what_they_say() {
        let mut noise = Noise(7);
        let mut alarms = [0; 3];
        for _ in 0..400 {
            let (white, red) = (noise.ar1(60, 0.0), noise.ar1(60, 0.7));
            alarms[0] += i32::from(mann_kendall(&white).unwrap().p < 0.05);
            alarms[1] += i32::from(mann_kendall(&red).unwrap().p < 0.05);
            alarms[2] += i32::from(mann_kendall_hamed_rao(&red).unwrap().p < 0.05);
        }
        assert!((0..=42).contains(&alarms[0]), "{alarms:?}");
        assert!(alarms[1] > 100, "{alarms:?}");
        assert!(alarms[2] * 3 < alarms[1] * 2, "{alarms:?}");
    }

    /// Of 300 noisy lines the interval at 90 % holds the true slope 270 times, give or take five standard deviations (26).
    #[test]
    fn the_interval_covers_at_its_level() {
        let mut noise = Noise(11);
        let t: Vec<f64> = (0..80).map(f64::from).collect();
        let covered = (0..300)
            .filter(|_| {
                let v: Vec<f64> = t.iter().map(|t| 0.5 * t + 10.0 * noise.normal()).collect();
                let s = theil_sen(&t, &v).unwrap();
                s.lower <= 0.5 && 0.5 <= s.upper
            })
            .count();
        assert!((244..=296).contains(&covered), "{covered}");
    }
}
