//! The cycle that dominates a window of points, if one does.
//!
//! A plain periodogram of the detrended, tapered points. It only has to keep a daily or hourly wave from passing for
//! growth; which seasons a series has in general is another module's question.

/// A cycle must hold this share of the detrended power.
const DOMINANT: f64 = 0.25;

/// The length of the dominating cycle in points; `None` when none dominates or it fits less than twice.
pub fn dominant(x: &[f64]) -> Option<f64> {
    let n = x.len();
    let rest = detrended(x);
    let power: Vec<f64> = (2..=n / 4).map(|cycles| power_at(&rest, cycles)).collect();
    let total = rest.iter().map(|x| x * x).sum::<f64>() * n as f64 / 2.0;
    let (at, peak) = power.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (total > 0.0 && peak > DOMINANT * total).then(|| n as f64 / (between(&power, at) + 2.0))
}

/// Squared amplitude of `cycles` cycles over the points; the sine is turned, not called, for each point.
fn power_at(x: &[f64], cycles: usize) -> f64 {
    let angle = std::f64::consts::TAU * cycles as f64 / x.len() as f64;
    let (sin, cos) = angle.sin_cos();
    let (mut s, mut c, mut re, mut im) = (0.0, 1.0, 0.0, 0.0);
    for value in x {
        re += value * c;
        im += value * s;
        (s, c) = (s * cos + c * sin, c * cos - s * sin);
    }
    re * re + im * im
}

/// The peak's place between frequencies, by a parabola through its neighbours.
fn between(power: &[f64], at: usize) -> f64 {
    let (Some(l), Some(m), Some(r)) = (at.checked_sub(1).and_then(|i| power.get(i)), power.get(at), power.get(at + 1))
    else {
        return at as f64;
    };
    let bend = l - 2.0 * m + r;
    let shift = if bend < 0.0 { 0.5 * (l - r) / bend } else { 0.0 };
    at as f64 + shift.clamp(-0.5, 0.5)
}

/// Less its parabola, tapered at both ends (Hann).
fn detrended(x: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    let u: Vec<f64> = (0..x.len()).map(|i| 2.0 * i as f64 / (n - 1.0).max(1.0) - 1.0).collect();
    let mut basis = super::basis::Basis::default();
    basis.add(vec![1.0; x.len()]);
    basis.add(u.clone());
    basis.add(u.iter().map(|u| u * u).collect());
    let mut rest = basis.residual(x.to_vec());
    for (x, u) in rest.iter_mut().zip(&u) {
        *x *= 0.5 + 0.5 * (std::f64::consts::PI * u).cos();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_on_a_slope_is_found_and_a_slope_alone_is_not() {
        let wave = |i: i32| (std::f64::consts::TAU * f64::from(i) / 31.0).sin();
        let x: Vec<f64> = (0..150).map(|i| 100.0 + 0.1 * f64::from(i) + 3.0 * wave(i)).collect();
        let found = dominant(&x).unwrap();
        assert!((found - 31.0).abs() < 2.0, "{found}");
        assert_eq!(dominant(&(0..150).map(f64::from).collect::<Vec<_>>()), None);
        assert_eq!(dominant(&[]), None);
    }
}
