//! What is alive now, by site, type and component: the largest, and the rest as `other` or `none`.
//!
//! The entries are estimates, the total is exact, and the rest is the difference, so the series sum to the total. Where sampling
//! error puts the entries above the total, the rest is 0.

use super::allocations::{SERIES, by_component};
use super::family::{Family, Labels};
use super::labels::{NONE, OTHER, bounded, or_none};
use crate::analyze::heap::site::responsible;
use crate::snapshot::{Site, Snapshot};

/// Sites that have series of their own.
const SITES: usize = 30;
/// Types that have series of their own.
const TYPES: usize = 50;

pub fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut sites = sites(snapshot);
    sites.extend([live_by_type(snapshot), objects_by_type(snapshot), by_allocator(snapshot)]);
    sites
}

fn sites(snapshot: &Snapshot) -> Vec<Family> {
    let mut live = Family::gauge("memory_site_live_bytes", "Live heap bytes by the call site that allocated them.");
    let mut info = Family::gauge("heapwatch_site_info", "What code a site is; 1, to be joined on its label.");
    for site in snapshot.sites.iter().take(SITES) {
        live.add_number(vec![("site", site_id(site))], site.usage.live_bytes.value.max(0.0));
        if info.series.iter().all(|s| s.labels.first().is_none_or(|(_, id)| *id != site_id(site))) {
            info.add_number(description(site), 1.0);
        }
    }
    add_rest(&mut live, "site", OTHER, snapshot.totals.live_bytes());
    vec![live, info]
}

/// The label of a site: the id that reports have.
pub fn site_id(site: &Site) -> String {
    format!("{:016x}", site.id)
}

fn description(site: &Site) -> Labels {
    let frame = responsible(site).and_then(|i| site.stack.get(i));
    let location = frame.and_then(|f| Some(format!("{}:{}", f.file.as_ref()?, f.line?)));
    vec![
        ("site", site_id(site)),
        ("function", or_none(frame.map(|f| &*f.function))),
        ("location", or_none(location.as_deref())),
        ("type", or_none(site.type_name.as_deref())),
        ("component", or_none(site.scope.component.as_deref())),
    ]
}

fn live_by_type(snapshot: &Snapshot) -> Family {
    let types = snapshot.types.iter().take(TYPES).map(|t| (bounded(&t.name), t.usage.live_bytes.value.max(0.0)));
    let mut family = Family::gauge("memory_type_live_bytes", "Live heap bytes by element type.");
    types.for_each(|(name, bytes)| family.add_number(vec![("type", name)], bytes));
    add_rest(&mut family, "type", OTHER, snapshot.totals.live_bytes());
    family
}

fn objects_by_type(snapshot: &Snapshot) -> Family {
    let types = snapshot.types.iter().take(TYPES).map(|t| (bounded(&t.name), t.usage.live_objects.value.max(0.0)));
    let mut family = Family::gauge("heap_objects", "Live heap objects by element type.");
    types.for_each(|(name, objects)| family.add_number(vec![("type", name)], objects));
    add_rest(&mut family, "type", OTHER, snapshot.totals.live_objects());
    family
}

fn by_allocator(snapshot: &Snapshot) -> Family {
    let mut family =
        Family::gauge("memory_allocator_total_bytes", "Live heap bytes by the component that allocated them.");
    let mut components = by_component(snapshot);
    components.retain(|c| c.component != NONE);
    components.sort_by(|a, b| b.live_bytes.total_cmp(&a.live_bytes));
    let (own, beyond) = components.split_at(components.len().min(SERIES));
    own.iter().for_each(|c| family.add_number(vec![("component", c.component.clone())], c.live_bytes));
    if !beyond.is_empty() {
        family.add_number(vec![("component", OTHER.to_owned())], beyond.iter().map(|c| c.live_bytes).sum());
    }
    add_rest(&mut family, "component", NONE, snapshot.totals.live_bytes());
    family
}

fn add_rest(family: &mut Family, label: &'static str, rest: &str, total: u64) {
    let listed = family.sum();
    family.add_number(vec![(label, rest.to_owned())], (total as f64 - listed).max(0.0));
}
