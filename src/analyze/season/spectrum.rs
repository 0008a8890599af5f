//! Candidate periods of an even series: peaks of the whitened periodogram and of its autocorrelation.
//!
//! Both are kept because each is blind where the other sees: a smooth season is one line of the spectrum, a short pulse
//! once a period is spread over all harmonics and only the autocorrelation gathers it. Dividing the periodogram by its own
//! smooth background makes noise of any colour flat, so a random walk does not crowd out the seasons. Candidates are
//! only proposed here; whether one is real is for [`super::fold`] to say.

use std::f64::consts::TAU;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// Proposals taken from each of the two views. More costs time in proportion and finds weaker seasons of crowded spectra.
const PEAKS: usize = 10;

/// Periods in rows, at least 2 and at most half of `values`, likeliest first. `values` are finite and free of trend.
pub(super) fn candidates(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let size = (2 * n).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(size);
    let (mut time, mut lines) = (forward.make_input_vec(), forward.make_output_vec());
    for (i, (slot, v)) in time.iter_mut().zip(values).enumerate() {
        *slot = v * (0.5 - 0.5 * (TAU * (i as f64 + 0.5) / n as f64).cos());
    }
    if forward.process(&mut time, &mut lines).is_err() {
        return Vec::new();
    }
    let white = whitened(&lines, size as f64 / n as f64);
    let mut found = line_periods(&white, size, n);
    let mut spectrum: Vec<Complex<f64>> = white.iter().map(|p| Complex::new(*p, 0.0)).collect();
    let inverse = planner.plan_fft_inverse(size);
    if inverse.process(&mut spectrum, &mut time).is_ok() {
        let lags = lag_periods(&time, n);
        found = interleaved(&found, &lags);
    }
    distinct(found, n)
}

/// The periodogram over its local median (in half octaves), zero below 1.5 cycles a series, where trend lives.
fn whitened(lines: &[Complex<f64>], oversampling: f64) -> Vec<f64> {
    let power: Vec<f64> = lines.iter().map(Complex::norm_sqr).collect();
    let first = (1.5 * oversampling).ceil() as usize;
    let mut white = vec![0.0; power.len()];
    let mut low = first;
    while low < power.len() {
        let high = ((low as f64 * 1.42) as usize + 4).min(power.len());
        let from = low.saturating_sub((high - low) / 2).max(first);
        let to = (high + (high - low) / 2).min(power.len());
        let background = super::median(&mut power[from..to].to_vec()).unwrap_or(0.0).max(f64::MIN_POSITIVE);
        for k in low..high {
            // A line may not drown the others in the autocorrelation.
            white[k] = (power[k] / background).min(1e6).sqrt();
        }
        low = high;
    }
    white
}

fn line_periods(white: &[f64], size: usize, n: usize) -> Vec<f64> {
    let longest = n as f64 / 2.0 * 1.05;
    let peaks = peaks(white, |k| k > 0 && (2.0..=longest).contains(&(size as f64 / k as f64)), |_| 1.0);
    peaks.iter().map(|k| size as f64 / k).collect()
}

fn lag_periods(correlation: &[f64], n: usize) -> Vec<f64> {
    let lags = correlation.get(..(n / 2 + 2).min(correlation.len())).unwrap_or_default();
    // Fewer rows overlap at long lags; without the correction long periods could not be proposed.
    peaks(lags, |k| k >= 2, |k| n as f64 / (n - k).max(1) as f64)
}

/// Local maxima, best first, at positions interpolated by a parabola.
fn peaks(y: &[f64], allowed: impl Fn(usize) -> bool, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for (i, w) in y.windows(3).enumerate() {
        let k = i + 1;
        if w[1] > 0.0 && w[1] > w[0] && w[1] >= w[2] && allowed(k) {
            let bend = w[0] - 2.0 * w[1] + w[2];
            let shift = if bend < 0.0 { 0.5 * (w[0] - w[2]) / bend } else { 0.0 };
            found.push((w[1] * weight(k), k as f64 + shift.clamp(-0.5, 0.5)));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(PEAKS).map(|f| f.1).collect()
}

fn interleaved(a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..a.len().max(b.len())).flat_map(|i| [a.get(i), b.get(i)]).flatten().copied().collect()
}

/// Cycles a series that are always proposed: a spectrum can hardly tell so few from trend.
const FEW_CYCLES: [f64; 6] = [2.0, 2.4, 3.0, 3.6, 4.3, 5.2];

/// Drops what cannot be told from an earlier candidate; adds small multiples of the likeliest, for a season whose
/// harmonics outshine it.
fn distinct(found: Vec<f64>, n: usize) -> Vec<f64> {
    let multiples: Vec<f64> = found.iter().take(3).flat_map(|p| [2.0 * p, 3.0 * p]).collect();
    let mut kept: Vec<f64> = Vec::new();
    let few = FEW_CYCLES.map(|c| n as f64 / c);
    for p in found.into_iter().chain(multiples).chain(few) {
        let resolution = 0.25 * p * p / n as f64;
        let fits = (2.0..=n as f64 / 2.0 * 1.02).contains(&p);
        if fits && kept.iter().all(|q| (p - q).abs() > resolution) {
            kept.push(p.min(n as f64 / 2.0));
        }
    }
    kept
}
