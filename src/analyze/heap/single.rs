//! One block that grows: a vector, queue or table that only ever gets more elements and never gives any back.
//!
//! Such a site has no cohorts that survive, as each resize replaces the block. What shows is the doubling: under steady
//! pushes the resizes come at times that double as well, so at any moment at most about half of the time has passed since the last
//! one. A buffer that has its size, or is built and dropped, does not keep that up.

use crate::snapshot::{Site, SiteHistory};

/// A rise of this factor between two levels is a resize.
const JUMP: f64 = 1.5;
/// A fall to less than this share means that the block was dropped.
const DROP: f64 = 0.6;
/// Resizes that must have been seen.
const LEAST_JUMPS: usize = 3;
/// Live samples of a site that is one block, or a few.
const MOST_SAMPLES: u64 = 4;

/// The present block must have been there for this share of the site's time.
const PRESENT_SHARE: f64 = 0.6;

/// A block that keeps growing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubling {
    /// Resizes seen since the block was small.
    pub jumps: usize,
    /// When it was first seen.
    pub onset_s: f64,
    /// Mean growth, bytes a second.
    pub bytes_per_s: f64,
}

/// Whether the site is one block that keeps growing.
pub fn doubling(site: &Site, now_s: f64) -> Option<Doubling> {
    if site.usage.live_samples > MOST_SAMPLES {
        return None;
    }
    let (first_s, start_s, jumps) = jumps(&site.history)?;
    let [.., before_last, last] = jumps[..] else { return None };
    let lived = now_s - start_s;
    let goes_on = last - start_s >= 0.45 * lived;
    let spaced = before_last - start_s <= 0.8 * (last - start_s);
    // A buffer that was built and dropped before will be again.
    let longest = lived >= PRESENT_SHARE * (now_s - first_s);
    (jumps.len() >= LEAST_JUMPS && lived > 0.0 && goes_on && spaced && longest).then(|| Doubling {
        jumps: jumps.len(),
        onset_s: start_s,
        bytes_per_s: site.usage.live_bytes.value / lived,
    })
}

/// When the site, and its present block, were first seen, and when that was resized since.
fn jumps(history: &SiteHistory) -> Option<(f64, f64, Vec<f64>)> {
    let mut points = history.times_s.iter().copied().zip(history.live_bytes.iter().copied());
    let (mut start_s, mut level) = points.find(|(_, live)| *live > 0.0)?;
    let first_s = start_s;
    let mut jumps = Vec::new();
    for (time, live) in points {
        if live < DROP * level {
            (start_s, level) = (time, live);
            jumps.clear();
        } else if live > JUMP * level {
            if level > 0.0 {
                jumps.push(time);
            }
            level = live;
        }
    }
    Some((first_s, start_s, jumps))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::Usage;

    fn site(live: impl Fn(f64) -> f64) -> Site {
        let times_s: Vec<f64> = (0..60).map(f64::from).collect();
        let live_bytes: Vec<f64> = times_s.iter().map(|t| live(*t)).collect();
        let usage = Usage {
            live_samples: 1,
            live_bytes: crate::snapshot::Estimate { value: live_bytes[59], variance: 0.0 },
            ..Usage::default()
        };
        let history = SiteHistory { times_s, live_bytes, ..SiteHistory::default() };
        Site { usage, history: Arc::new(history), ..Site::default() }
    }

    fn capacity(items: f64) -> f64 {
        (items.max(1.0) as u64).next_power_of_two() as f64 * 1e6
    }

    #[test]
    fn a_vector_that_is_pushed_to_for_ever_is_told_from_one_that_has_its_size() {
        assert!(doubling(&site(|t| capacity(t + 1.0)), 59.0).is_some());
        assert_eq!(doubling(&site(|t| capacity((t + 1.0).min(16.0))), 59.0), None);
        assert_eq!(doubling(&site(|t| capacity(t % 10.0 + 1.0)), 59.0), None);
    }
}
