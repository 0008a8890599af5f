//! What Robusta KRR's strategy `simple` would say about memory.
//!
//! The highest sample of any pod in the window, × 1.15; the limit at which a container was OOM-killed, × 1.25 when that
//! is more; rounded up to a MiB, 100 MiB at least; request and limit are the same. Source: `strategies/simple.py` and
//! `core/runner.py` of robusta-dev/krr. KRR takes OOM kills into account only with `--use-oomkill-data`; here it always
//! does, which is kinder to it.

/// Added to the highest sample.
pub const MEMORY_BUFFER: f64 = 0.15;
/// Added to the limit of an OOM-killed container.
pub const OOM_BUFFER: f64 = 0.25;
/// Fewer points than this give no recommendation.
pub const POINTS_REQUIRED: u64 = 100;
/// The smallest recommendation.
pub const MIN_BYTES: f64 = 100.0 * MIB;
/// How much history KRR asks for.
pub const HISTORY_S: f64 = 14.0 * 86_400.0;

const MIB: f64 = 1024.0 * 1024.0;

/// Request and limit in bytes; `None` under [`POINTS_REQUIRED`] points. `peak_bytes` is the highest sample of all pods,
/// `oom_limit_bytes` the highest limit at which one was killed (0: none).
pub fn estimate(peak_bytes: f64, points: u64, oom_limit_bytes: f64) -> Option<f64> {
    if points < POINTS_REQUIRED || !peak_bytes.is_finite() {
        return None;
    }
    let proposal = (peak_bytes * (1.0 + MEMORY_BUFFER)).max(oom_limit_bytes * (1.0 + OOM_BUFFER));
    Some(((proposal / MIB).ceil() * MIB).max(MIN_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        assert_eq!(estimate(1000.0 * MIB, 100, 0.0), Some(1150.0 * MIB));
        assert_eq!(estimate(1000.0 * MIB + 1.0, 100, 0.0), Some(1151.0 * MIB));
        assert_eq!(estimate(1000.0 * MIB, 100, 1000.0 * MIB), Some(1250.0 * MIB));
        assert_eq!(estimate(10.0 * MIB, 100, 0.0), Some(100.0 * MIB));
        assert_eq!(estimate(1000.0 * MIB, 99, 0.0), None);
        assert_eq!(estimate(f64::NAN, 100, 0.0), None);
    }
}
