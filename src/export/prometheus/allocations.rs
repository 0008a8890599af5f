//! Allocations by component and operation.
//!
//! The first [`SERIES`] pairs have series of their own, in the order in which the scopes were made, and later ones are `other` for
//! good: a list by size would move pairs in and out of `other`, and its counters would fall. What no scope has counted is
//! `none`: the exact totals less the scopes.

use super::family::{Family, Labels, histogram_of_sizes};
use super::labels::{NONE, OTHER, or_none};
use crate::analyze::allocation_quality;
use crate::export::json::{SIZE_CATEGORIES, allocations_by_category};
use crate::snapshot::{ScopeUsage, SizeBucket, Snapshot};

/// Pairs, components or endpoints that have series of their own.
pub const SERIES: usize = 100;

/// Scopes that share a component, and an operation where that counts.
#[derive(Debug, Default)]
pub struct Group {
    pub component: String,
    pub operation: String,
    pub allocations: u64,
    pub allocated_bytes: u64,
    pub freed_bytes: u64,
    pub live_bytes: f64,
    pub sizes: Vec<SizeBucket>,
}

pub fn families(snapshot: &Snapshot) -> Vec<Family> {
    let groups = by_operation(snapshot);
    let counter = |name, help, of: fn(&Group) -> u64| {
        let mut family = Family::counter(name, help);
        groups.iter().for_each(|g| family.add_number(g.labels(), of(g) as f64));
        family
    };
    vec![
        counter("memory_allocations_total", "Allocations by component and operation.", |g| g.allocations),
        counter("memory_allocated_bytes_total", "Bytes allocated by component and operation.", |g| g.allocated_bytes),
        counter(
            "memory_freed_bytes_total",
            "Bytes freed inside a component and operation, whoever allocated them.",
            |g| g.freed_bytes,
        ),
        sizes(&groups),
        distribution(snapshot),
        efficiency(snapshot),
    ]
}

fn sizes(groups: &[Group]) -> Family {
    let help = "Sizes of allocations by component and operation, estimated from samples.";
    let mut family = Family::histogram("memory_allocation_size_bytes", help);
    for group in groups.iter().filter(|g| !g.sizes.is_empty()) {
        family.add_histogram(group.labels(), histogram_of_sizes(&group.sizes));
    }
    family
}

fn distribution(snapshot: &Snapshot) -> Family {
    let help =
        "Allocations by size: tiny below 1 KiB, small below 64 KiB, medium below 1 MiB, large below 16 MiB, huge.";
    let counts = allocations_by_category(&snapshot.totals.allocations_by_class).map(|n| n as f64);
    Family::counter("memory_allocation_distribution_total", help)
        .by("size_category", SIZE_CATEGORIES.into_iter().zip(counts))
}

fn efficiency(snapshot: &Snapshot) -> Family {
    let help =
        "How well the sizes of allocations suit an allocator: 1 all of medium size, low for tiny or very large ones.";
    let mut family = Family::gauge("memory_allocation_efficiency_score", help);
    for group in by_component(snapshot).iter().take(SERIES) {
        if let Some(score) = allocation_quality::efficiency(&group.sizes) {
            family.add_number(vec![("component", group.component.clone())], score);
        }
    }
    family
}

/// Scopes by component and operation; the one outside all scopes comes first.
fn by_operation(snapshot: &Snapshot) -> Vec<Group> {
    let operation = |s: &ScopeUsage| or_none(s.scope.operation.as_deref());
    group(snapshot, SERIES, operation)
}

/// Scopes by component alone, all of them: as many as there can be scopes.
pub fn by_component(snapshot: &Snapshot) -> Vec<Group> {
    group(snapshot, usize::MAX, |_| NONE.to_owned())
}

fn group(snapshot: &Snapshot, most: usize, operation: impl Fn(&ScopeUsage) -> String) -> Vec<Group> {
    let mut groups = vec![Group::named(NONE.to_owned(), NONE.to_owned())];
    for scope in &snapshot.scopes {
        let (component, operation) = (or_none(scope.scope.component.as_deref()), operation(scope));
        let known = groups.iter().position(|g| g.component == component && g.operation == operation);
        let at = known.unwrap_or_else(|| place(&mut groups, most, component, operation));
        if let Some(group) = groups.get_mut(at) {
            group.add(scope);
        }
    }
    if let [none, others @ ..] = groups.as_mut_slice() {
        none.is_what_is_left(snapshot, others);
    }
    groups
}

/// Where a new pair is counted: in a group of its own, or, beyond the bound, in `other`.
fn place(groups: &mut Vec<Group>, most: usize, component: String, operation: String) -> usize {
    let beyond = |g: &Group| g.component == OTHER && g.operation == OTHER;
    match groups.iter().position(beyond).filter(|_| groups.len() > most) {
        Some(other) => other,
        None if groups.len() < most => push(groups, component, operation),
        None => push(groups, OTHER.to_owned(), OTHER.to_owned()),
    }
}

fn push(groups: &mut Vec<Group>, component: String, operation: String) -> usize {
    groups.push(Group::named(component, operation));
    groups.len() - 1
}

impl Group {
    fn named(component: String, operation: String) -> Group {
        Group { component, operation, ..Group::default() }
    }

    fn labels(&self) -> Labels {
        vec![("component", self.component.clone()), ("operation", self.operation.clone())]
    }

    fn add(&mut self, scope: &ScopeUsage) {
        self.allocations += scope.allocations;
        self.allocated_bytes += scope.allocated_bytes;
        self.freed_bytes += scope.freed_bytes;
        self.live_bytes += scope.usage.live_bytes.value.max(0.0);
        add_sizes(&mut self.sizes, &scope.size_histogram);
    }

    fn is_what_is_left(&mut self, snapshot: &Snapshot, others: &[Group]) {
        let totals = &snapshot.totals;
        let left = |total: u64, of: fn(&Group) -> u64| total.saturating_sub(others.iter().map(of).sum());
        self.allocations = left(totals.allocations, |g| g.allocations);
        self.allocated_bytes = left(totals.allocated_bytes, |g| g.allocated_bytes);
        self.freed_bytes = left(totals.freed_bytes, |g| g.freed_bytes);
        if snapshot.scopes.is_empty() {
            self.sizes.clone_from(&snapshot.size_histogram);
        }
    }
}

/// All histograms of sizes have the same bounds.
fn add_sizes(to: &mut Vec<SizeBucket>, more: &[SizeBucket]) {
    if to.is_empty() {
        return to.extend(more);
    }
    for (a, b) in to.iter_mut().zip(more) {
        a.count += b.count;
        a.sum_bytes += b.sum_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Scope, Totals};

    fn scope(component: &str, allocations: u64) -> ScopeUsage {
        let scope = Scope { component: Some(component.into()), ..Scope::default() };
        ScopeUsage { scope, allocations, ..ScopeUsage::default() }
    }

    fn snapshot(scopes: usize, total: u64) -> Snapshot {
        let totals = Totals { allocations: total, ..Totals::default() };
        Snapshot { totals, scopes: (0..scopes).map(|i| scope(&format!("c{i}"), 2)).collect(), ..Snapshot::default() }
    }

    #[test]
    fn what_no_scope_has_counted_is_none_and_all_sums_to_the_total() {
        for scopes in [0, 1, SERIES - 2, SERIES - 1, SERIES, SERIES + 1, 3 * SERIES] {
            let groups = by_operation(&snapshot(scopes, 1000));
            assert!(groups.len() <= SERIES + 1, "{scopes}");
            assert_eq!(groups.iter().map(|g| g.allocations).sum::<u64>(), 1000, "{scopes}");
            assert_eq!((groups[0].component.as_str(), groups[0].allocations), (NONE, 1000 - 2 * scopes as u64));
        }
    }

    #[test]
    fn a_pair_stays_where_it_was_first_counted() {
        let of = |scopes, name: &str| {
            let groups = by_operation(&snapshot(scopes, 5000));
            groups.iter().find(|g| g.component == name).map(|g| g.allocations)
        };
        assert_eq!(of(SERIES + 5, "c7"), Some(2));
        assert_eq!((of(SERIES + 5, "other"), of(SERIES + 9, "other")), (Some(12), Some(20)));
    }
}
