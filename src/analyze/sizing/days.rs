//! Daily peaks of the service without its leak: what the estimators of [`super::ours`] look at.
//!
//! A day is a block of 24 hours counted back from now, so that the latest is whole. Its peak is the highest of all pods.
//! What a leak added since the process began (or since the leak did) is taken off first, so that a limit never grows with a
//! leak. The first bucket of a process is its start-up and is also kept apart.

use super::usage::{Bucket, Usage};
use super::workload::{Leak, Workload};

/// Length of a block.
pub const DAY_S: f64 = 86_400.0;
/// A low under this share of the one before is a new process, not a quiet hour.
const RESTART_FALL: f32 = 0.5;
/// Blocks of which fewer hours were seen count for the highest peak but not for the spread between days.
const COVERED: f64 = 0.5;

/// One day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Day {
    /// Highest use, start-up included, bytes.
    pub peak: f64,
    /// Highest use outside start-up, bytes.
    pub steady: f64,
    /// Seconds that any pod was seen, at most a day.
    pub seen_s: f64,
}

impl Day {
    /// Highest use outside start-up where any was seen, else the peak.
    pub fn running(&self) -> f64 {
        if self.steady > 0.0 { self.steady } else { self.peak }
    }

    /// Enough of the day was seen to compare it with others.
    pub fn is_covered(&self) -> bool {
        self.seen_s >= COVERED * DAY_S
    }
}

/// The days of `workload` up to `now_s`, oldest first; a day that nobody saw has `seen_s` 0.
pub fn of(workload: &Workload, now_s: f64) -> Vec<Day> {
    blocks(workload, workload.leak.as_ref(), now_s)
}

fn blocks(workload: &Workload, leak: Option<&Leak>, now_s: f64) -> Vec<Day> {
    let Some(first_s) = workload.first_s() else { return Vec::new() };
    let count = (((now_s - first_s) / DAY_S).ceil().max(1.0) as usize).min(400);
    let mut days = vec![Day::default(); count];
    for pod in &workload.pods {
        let mut seen = vec![0.0; count];
        for piece in pieces(&pod.usage, leak) {
            let age = ((now_s - piece.middle_s) / DAY_S).max(0.0) as usize;
            let Some(index) = (count - 1).checked_sub(age) else { continue };
            let day = &mut days[index];
            day.peak = day.peak.max(piece.peak);
            if !piece.starting {
                day.steady = day.steady.max(piece.peak);
            }
            seen[index] += pod.usage.width_s();
        }
        days.iter_mut().zip(seen).for_each(|(d, s)| d.seen_s = d.seen_s.max(s.min(DAY_S)));
    }
    days
}

/// The daily peaks as they were, leak included, of the days that were seen enough; oldest first, bytes.
pub fn as_used(workload: &Workload, now_s: f64) -> Vec<f64> {
    blocks(workload, None, now_s).iter().filter(|d| d.is_covered()).map(|d| d.peak).collect()
}

struct Piece {
    middle_s: f64,
    peak: f64,
    starting: bool,
}

/// The buckets of one pod without the leak's share.
fn pieces<'a>(usage: &'a Usage, leak: Option<&'a Leak>) -> impl Iterator<Item = Piece> + 'a {
    let width_s = usage.width_s();
    let mut before: Option<&Bucket> = None;
    let mut began_s = 0.0;
    usage.buckets().map(move |(at_s, bucket)| {
        let starting = before.is_none_or(|b| bucket.low < b.low * RESTART_FALL);
        before = Some(bucket);
        if starting {
            began_s = at_s;
        }
        let middle_s = at_s + width_s / 2.0;
        Piece { middle_s, peak: bucket.peak - leaked(leak, began_s, middle_s, bucket), starting }
    })
}

/// What the leak has added to a process that began at `began_s`; never more than the bucket's peak above its floor.
fn leaked(leak: Option<&Leak>, began_s: f64, at_s: f64, bucket: &Bucket) -> f64 {
    let Some(leak) = leak else { return 0.0 };
    let since_s = leak.onset_s.map_or(began_s, |t| t.max(began_s));
    let grown = leak.rate_bytes_per_hour.max(0.0) * (at_s - since_s).max(0.0) / 3600.0;
    grown.min(bucket.peak)
}

#[cfg(test)]
mod tests {
    use super::super::workload::Pod;
    use super::*;

    const GIB: f64 = (1u64 << 30) as f64;

    fn workload(values: impl IntoIterator<Item = f64>) -> Workload {
        let mut usage = Usage::default();
        values.into_iter().enumerate().for_each(|(hour, v)| usage.add(hour as f64 * 3600.0, v));
        Workload { pods: vec![Pod { name: "p".into(), usage }], ..Workload::default() }
    }

    #[test]
    fn days_are_counted_back_from_now() {
        let days = of(&workload((0..48).map(|h| f64::from(h + 1) * GIB)), 48.0 * 3600.0);
        assert_eq!(days.iter().map(|d| d.peak / GIB).collect::<Vec<_>>(), [24.0, 48.0]);
        assert!(days.iter().all(Day::is_covered));
    }

    #[test]
    fn a_leak_is_taken_off_since_each_start() {
        let rate = GIB / 24.0;
        // Two days of leaking from 1 GiB, a restart, one more day.
        let values = (0..48).chain(0..24).map(|h| GIB + rate * f64::from(h));
        let mut w = workload(values);
        w.leak = Some(Leak { rate_bytes_per_hour: rate, onset_s: None, confidence: 0.9, site: None });
        let days = of(&w, 72.0 * 3600.0);
        assert_eq!(days.len(), 3);
        for day in days {
            assert!((day.peak / GIB - 1.0).abs() < 0.03, "{day:?}");
        }
    }

    #[test]
    fn the_first_hour_of_a_process_is_its_start_up() {
        let w = workload((0..24).map(|h| if h == 0 { 3.0 * GIB } else { GIB }));
        let day = of(&w, 24.0 * 3600.0)[0];
        assert_eq!((day.peak, day.steady), (3.0 * GIB, GIB));
    }
}
