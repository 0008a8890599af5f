//! How well what is requested fits what is needed.
//!
//! The score of a container is min(requested, needed) / max(requested, needed): 1 when they are the same, 0.5 when twice
//! as much is requested as needed and also when half as much is, 0 when nothing is requested. *Needed* is the recommended
//! request. The score of a fleet is the sum of the minima over the sum of the maxima, so a large container weighs more.

/// A request beyond the need by this factor is waste.
pub const OVER: f64 = 1.15;
/// A request under the need by this factor is a risk.
pub const UNDER: f64 = 0.97;

const GIB: f64 = (1u64 << 30) as f64;

/// The score, 0–1; `None` when nothing is needed or a figure is not finite.
pub fn score(requested: f64, needed: f64) -> Option<f64> {
    let sane = requested.is_finite() && needed.is_finite() && requested >= 0.0 && needed > 0.0;
    sane.then(|| requested.min(needed) / requested.max(needed))
}

/// The score of many containers, each `(requested, needed, pods)`.
pub fn fleet_score(containers: impl IntoIterator<Item = (f64, f64, f64)>) -> Option<f64> {
    let (mut least, mut most) = (0.0, 0.0);
    for (requested, needed, pods) in containers {
        least += requested.min(needed) * pods;
        most += requested.max(needed) * pods;
    }
    (most > 0.0).then_some(least / most)
}

/// Money a month for `bytes` of request at `price` for a GiB.
pub fn money_per_month(bytes: f64, price_per_gib_month: f64) -> f64 {
    bytes / GIB * price_per_gib_month
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_symmetric_and_the_fleets_is_weighted() {
        assert_eq!((score(2.0, 1.0), score(0.5, 1.0), score(0.0, 1.0)), (Some(0.5), Some(0.5), Some(0.0)));
        assert_eq!((score(1.0, 0.0), score(f64::NAN, 1.0)), (None, None));
        assert_eq!(fleet_score([(10.0, 10.0, 9.0), (20.0, 10.0, 1.0)]), Some(100.0 / 110.0));
        assert_eq!(fleet_score([]), None);
        assert_eq!(money_per_month(2.0 * GIB, 3.5), 7.0);
    }
}
