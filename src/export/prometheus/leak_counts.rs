//! What is counted of leaks over the life of the process. A verdict says what leaks now; counters must not forget.
//!
//! A leak is known by its site. Bounded: at [`SITES`] the one that was seen longest ago is forgotten, and counts as new should it
//! leak again; components beyond [`COMPONENTS`] are counted as `other`.

use std::collections::{BTreeMap, HashMap};

use super::family::Labels;
use super::labels::{OTHER, or_none};
use crate::analyze::heap::SiteFinding;
use crate::analyze::severity::Severity;
use crate::snapshot::ValueHistogram;

/// Leaks that are remembered.
const SITES: usize = 4096;
/// Components that are told apart.
const COMPONENTS: usize = 100;
/// Bounds of the sizes of leaks, bytes: the severities' own among them.
const SIZE_BOUNDS: [f64; 9] = [1e5, 1e6, 5e6, 1e7, 5e7, 1e8, 5e8, 1e9, 1e10];

/// Severities that a leak can have.
pub const SEVERITIES: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// Counts of leaks since the process began.
#[derive(Debug, Default)]
pub struct LeakCounts {
    sites: HashMap<u64, Seen>,
    updates: u64,
    detected: [u64; SEVERITIES.len()],
    components: BTreeMap<(String, &'static str), OfComponent>,
}

/// What was counted of one leak already.
#[derive(Debug)]
struct Seen {
    last_update: u64,
    allocated_objects: f64,
    largest_bucket: usize,
}

/// Leaks of one component and severity.
#[derive(Debug)]
struct OfComponent {
    allocations: f64,
    sizes: ValueHistogram,
}

impl LeakCounts {
    /// Counts what is new in the leaks of a verdict. The same verdict twice adds nothing.
    pub fn update(&mut self, leaks: &[SiteFinding]) {
        self.updates += 1;
        leaks.iter().for_each(|leak| self.count(leak));
    }

    fn count(&mut self, leak: &SiteFinding) {
        let usage = &leak.site.usage;
        let bucket = SIZE_BOUNDS.partition_point(|b| *b < usage.live_bytes.value);
        let before = self.sites.remove(&leak.site.id);
        if before.is_none() {
            self.detect(leak.severity);
        }
        let counted = before.as_ref().map_or(0.0, |s| s.allocated_objects);
        let is_larger = before.as_ref().is_none_or(|s| bucket > s.largest_bucket);
        let of = self.component(leak);
        of.allocations += (usage.allocated_objects - counted).max(0.0);
        if is_larger {
            observe(&mut of.sizes, usage.live_bytes.value);
        }
        let seen = Seen {
            last_update: self.updates,
            allocated_objects: usage.allocated_objects.max(counted),
            largest_bucket: before.map_or(bucket, |s| bucket.max(s.largest_bucket)),
        };
        self.sites.insert(leak.site.id, seen);
    }

    fn detect(&mut self, severity: Severity) {
        let of = SEVERITIES.iter().position(|s| *s == severity).unwrap_or(0);
        if let Some(count) = self.detected.get_mut(of) {
            *count += 1;
        }
        if self.sites.len() >= SITES {
            let oldest = self.sites.iter().min_by_key(|(_, s)| s.last_update).map(|(id, _)| *id);
            oldest.map(|id| self.sites.remove(&id));
        }
    }

    fn component(&mut self, leak: &SiteFinding) -> &mut OfComponent {
        let key = (or_none(leak.site.scope.component.as_deref()), leak.severity.name());
        let is_new = !self.components.contains_key(&key);
        let key = match is_new && self.components.len() >= COMPONENTS * SEVERITIES.len() {
            true => (OTHER.to_owned(), key.1),
            false => key,
        };
        self.components.entry(key).or_insert_with(OfComponent::new)
    }

    /// Distinct leaks by the severity at which each was first called one.
    pub fn detected(&self) -> impl Iterator<Item = (&'static str, f64)> {
        SEVERITIES.iter().map(|s| s.name()).zip(self.detected.map(|n| n as f64))
    }

    /// Allocations at sites while they leaked, whole ones.
    pub fn allocations(&self) -> impl Iterator<Item = (Labels, f64)> {
        self.components.iter().map(|(key, of)| (labels(key), of.allocations.floor()))
    }

    /// Sizes that leaks have reached: each leak is counted once in each bucket that it grew into.
    pub fn sizes(&self) -> impl Iterator<Item = (Labels, ValueHistogram)> {
        self.components.iter().map(|(key, of)| (labels(key), of.sizes.clone()))
    }
}

fn labels((component, severity): &(String, &'static str)) -> Labels {
    vec![("component", component.clone()), ("severity", (*severity).to_owned())]
}

impl OfComponent {
    fn new() -> OfComponent {
        let (upper_bounds, cumulative) = (SIZE_BOUNDS.to_vec(), vec![0; SIZE_BOUNDS.len()]);
        OfComponent { allocations: 0.0, sizes: ValueHistogram { upper_bounds, cumulative, ..Default::default() } }
    }
}

fn observe(histogram: &mut ValueHistogram, value: f64) {
    let reached = histogram.upper_bounds.iter().zip(&mut histogram.cumulative).filter(|(bound, _)| value <= **bound);
    reached.for_each(|(_, count)| *count += 1);
    histogram.count += 1;
    histogram.sum += value;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::{Estimate, Site, Usage};

    fn leak(id: u64, live: f64, allocated_objects: f64, severity: Severity) -> SiteFinding {
        let live_bytes = Estimate { value: live, variance: 0.0 };
        let usage = Usage { live_bytes, allocated_objects, ..Usage::default() };
        SiteFinding {
            site: Arc::new(Site { id, usage, ..Site::default() }),
            leak: true,
            confidence: 1.0,
            rate_bytes_per_hour: [1.0; 3],
            onset_s: None,
            shape: "linear",
            severity,
            share_of_growth: 1.0,
            responsible_frame: None,
            evidence: Vec::new(),
            refuted_by: String::new(),
            advice: String::new(),
        }
    }

    fn read(counts: &LeakCounts) -> (f64, f64, u64) {
        let detected = counts.detected().map(|(_, n)| n).sum();
        let allocations = counts.allocations().map(|(_, n)| n).sum();
        (detected, allocations, counts.sizes().map(|(_, h)| h.count).sum())
    }

    #[test]
    fn a_leak_is_counted_once_and_its_allocations_as_they_come() {
        let mut counts = LeakCounts::default();
        counts.update(&[leak(1, 2e6, 10.0, Severity::Low)]);
        counts.update(&[leak(1, 2e6, 10.0, Severity::Low)]);
        assert_eq!(read(&counts), (1.0, 10.0, 1));
        counts.update(&[]);
        counts.update(&[leak(1, 2e7, 16.0, Severity::Medium), leak(2, 1.0, 4.0, Severity::Low)]);
        assert_eq!(read(&counts), (2.0, 20.0, 3));
        let by_severity: Vec<f64> = counts.allocations().map(|(_, n)| n).collect();
        assert_eq!(by_severity, [14.0, 6.0]);
    }

    #[test]
    fn sites_are_bounded_and_counts_do_not_forget() {
        let mut counts = LeakCounts::default();
        for id in 0..SITES as u64 + 10 {
            counts.update(&[leak(id, 1.0, 1.0, Severity::Critical)]);
        }
        assert_eq!(counts.sites.len(), SITES);
        assert_eq!(counts.detected().last(), Some(("critical", SITES as f64 + 10.0)));
    }
}
