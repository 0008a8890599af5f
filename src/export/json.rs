//! The JSON documents of the endpoints that are not a report: `heapwatch.snapshot/1` and `heapwatch.growth/1`.

use std::collections::HashMap;

use serde::Serialize;

use super::report::growth::{Growth, ScopeGrowth, SiteGrowth, SizeCategory, TypeGrowth};
use super::report::{Ledger, Report, ScopeLine, SiteLine};
use crate::analyze::heap::{growth_since, words};
use crate::snapshot::{ProcessMemory, RecorderHealth, Site, Snapshot, Totals};

#[derive(Serialize)]
struct SnapshotDocument<'a> {
    schema: &'static str,
    taken_at: Option<String>,
    taken_at_s: f64,
    process: super::report::Process,
    totals: Counters<'a>,
    memory: &'a ProcessMemory,
    ledger: Ledger,
    recorder: &'a RecorderHealth,
    history: History<'a>,
    sites: Vec<SiteLine>,
    /// Live bytes of the sites that are not listed.
    other_live_bytes: f64,
}

/// The process over time, as far back as it remembers; null where something could not be read.
#[derive(Serialize)]
struct History<'a> {
    times_s: &'a [f64],
    heap_live_bytes: &'a [f64],
    rss_bytes: &'a [f64],
    usage_bytes: &'a [f64],
}

#[derive(Serialize)]
struct Counters<'a> {
    live_bytes: u64,
    live_objects: u64,
    #[serde(flatten)]
    exact: &'a Totals,
}

/// `heapwatch.snapshot/1`: totals, ledger, limits, recorder health, and the `top` sites by live bytes.
pub fn snapshot(snapshot: &Snapshot, top: usize) -> String {
    let report = Report::new(snapshot, &Default::default());
    let listed = snapshot.sites.iter().take(top);
    let rest: f64 = snapshot.sites.iter().skip(top).map(|s| s.usage.live_bytes.value).sum();
    let (totals, history) = (&snapshot.totals, &snapshot.history);
    render(&SnapshotDocument {
        schema: "heapwatch.snapshot/1",
        taken_at: words::time(snapshot.taken_at_s),
        taken_at_s: snapshot.taken_at_s,
        process: report.process,
        totals: Counters { live_bytes: totals.live_bytes(), live_objects: totals.live_objects(), exact: totals },
        memory: &snapshot.memory,
        ledger: report.ledger,
        recorder: &snapshot.recorder,
        history: History {
            times_s: &history.times_s,
            heap_live_bytes: &history.heap_live_bytes,
            rss_bytes: &history.rss_bytes,
            usage_bytes: &history.usage_bytes,
        },
        sites: listed.enumerate().map(|(i, s)| SiteLine::of(i + 1, s)).collect(),
        other_live_bytes: rest,
    })
}

/// Lines of a list that a growth document shows.
const LISTED: usize = 100;

/// `heapwatch.growth/1`: what grew since the start, or over the last `since_s` seconds; fastest first.
pub fn growth(snapshot: &Snapshot, since_s: Option<f64>) -> String {
    let start = snapshot.process.started_at_s;
    let from = since_s.map_or(start, |s| (snapshot.taken_at_s - s).max(start));
    let hours = ((snapshot.taken_at_s - from) / 3600.0).max(1e-9);
    let grown =
        |site: &Site| growth_since(&site.history.times_s, &site.history.live_bytes, site.usage.live_bytes.value, from);
    let mut sites: Vec<SiteGrowth> = snapshot
        .sites
        .iter()
        .map(|s| SiteGrowth {
            growth_bytes: grown(s),
            growth_bytes_per_hour: grown(s) / hours,
            site: SiteLine::of(0, s),
        })
        .collect();
    sites.sort_by(|a, b| b.growth_bytes.total_cmp(&a.growth_bytes));
    sites.truncate(LISTED);
    sites.iter_mut().zip(1..).for_each(|(s, rank)| s.site.rank = rank);
    render(&Growth {
        schema: super::report::growth::SCHEMA.to_owned(),
        taken_at: words::time(snapshot.taken_at_s),
        taken_at_s: snapshot.taken_at_s,
        since_s: snapshot.taken_at_s - from,
        sites,
        types: types(snapshot, hours, grown),
        scopes: scopes(snapshot, from, hours),
        size_categories: size_categories(&snapshot.totals.allocations_by_class),
    })
}

fn types(snapshot: &Snapshot, hours: f64, grown: impl Fn(&Site) -> f64) -> Vec<TypeGrowth> {
    let mut growth: HashMap<&str, f64> = HashMap::new();
    for (name, site) in snapshot.sites.iter().filter_map(|s| Some((s.type_name.as_deref()?, s))) {
        *growth.entry(name).or_default() += grown(site);
    }
    let mut types: Vec<TypeGrowth> = snapshot
        .types
        .iter()
        .map(|t| {
            let growth_bytes = growth.get(&*t.name).copied().unwrap_or(0.0);
            TypeGrowth {
                name: t.name.to_string(),
                live_bytes: t.usage.live_bytes.value,
                live_objects: t.usage.live_objects.value,
                growth_bytes,
                growth_bytes_per_hour: growth_bytes / hours,
            }
        })
        .collect();
    types.sort_by(|a, b| b.growth_bytes.total_cmp(&a.growth_bytes));
    types.truncate(LISTED);
    types
}

fn scopes(snapshot: &Snapshot, from_s: f64, hours: f64) -> Vec<ScopeGrowth> {
    let used = snapshot.scopes.iter().filter(|s| s.usage.samples > 0);
    let mut scopes: Vec<ScopeGrowth> = used
        .map(|s| {
            let live = s.usage.live_bytes.value;
            let growth_bytes = growth_since(&s.live_history.0, &s.live_history.1, live, from_s);
            ScopeGrowth {
                scope: ScopeLine::of(&s.scope),
                live_bytes: live,
                live_objects: s.usage.live_objects.value,
                growth_bytes,
                growth_bytes_per_hour: growth_bytes / hours,
            }
        })
        .collect();
    scopes.sort_by(|a, b| b.growth_bytes.total_cmp(&a.growth_bytes));
    scopes.truncate(LISTED);
    scopes
}

/// Names of the size categories: below 1 KiB, 64 KiB, 1 MiB, 16 MiB, and beyond.
pub const SIZE_CATEGORIES: [&str; 5] = ["tiny", "small", "medium", "large", "huge"];

/// Exact allocations by size category, from the exact classes: class 0 is below 1 KiB, class `i` begins at 2^(i+9) bytes.
pub fn allocations_by_category(classes: &[u64]) -> [u64; SIZE_CATEGORIES.len()] {
    let ends = [1, 7, 11, 15, usize::MAX];
    let mut sums = [0; SIZE_CATEGORIES.len()];
    for (class, count) in classes.iter().enumerate() {
        let category = ends.iter().position(|end| class < *end).unwrap_or(sums.len() - 1);
        sums[category] += count;
    }
    sums
}

fn size_categories(classes: &[u64]) -> Vec<SizeCategory> {
    let counts = allocations_by_category(classes);
    SIZE_CATEGORIES
        .into_iter()
        .zip(counts)
        .map(|(name, allocations)| SizeCategory { name: name.to_owned(), allocations })
        .collect()
}

fn render(document: &impl Serialize) -> String {
    // Numbers, strings, lists and maps with string keys: it cannot fail.
    serde_json::to_string_pretty(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_categories_begin_where_their_names_say() {
        let mut classes = vec![0; 55];
        // 1 KiB is class 1, 64 KiB class 7, 1 MiB class 11, 16 MiB class 15.
        for class in [0, 1, 6, 7, 10, 11, 14, 15, 54] {
            classes[class] += 1;
        }
        assert_eq!(allocations_by_category(&classes), [1, 2, 2, 2, 2]);
    }
}
