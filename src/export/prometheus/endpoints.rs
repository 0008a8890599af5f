//! Memory of requests by matched route and method. The first endpoints have series of their own, as with components.

use super::allocations::SERIES;
use super::family::{Family, Labels};
use super::labels::{OTHER, or_none};
use crate::snapshot::{ScopeUsage, Snapshot};

pub fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut net =
        Family::histogram("endpoint_memory_delta_bytes", "Bytes allocated less bytes freed, of each request.");
    let mut gross = Family::histogram("endpoint_memory_allocated_bytes", "Bytes allocated, of each request.");
    let mut retained = Family::gauge(
        "endpoint_memory_retained_bytes",
        "Live bytes that requests have allocated, estimated from samples: what they leave behind.",
    );
    let mut known: Vec<Labels> = Vec::new();
    for scope in snapshot.scopes.iter().filter(|s| s.scope.endpoint.is_some()) {
        let labels = place(&mut known, labels(scope));
        if let Some(h) = &scope.request_net_bytes {
            net.add_histogram(labels.clone(), h.clone());
        }
        if let Some(h) = &scope.request_allocated_bytes {
            gross.add_histogram(labels.clone(), h.clone());
        }
        retained.add_number(labels, scope.usage.live_bytes.value.max(0.0));
    }
    vec![net, gross, retained]
}

fn labels(scope: &ScopeUsage) -> Labels {
    let part = |text: &Option<std::sync::Arc<str>>| or_none(text.as_deref());
    vec![("endpoint", part(&scope.scope.endpoint)), ("method", part(&scope.scope.method))]
}

fn place(known: &mut Vec<Labels>, labels: Labels) -> Labels {
    if known.contains(&labels) {
        return labels;
    }
    if known.len() >= SERIES {
        return vec![("endpoint", OTHER.to_owned()), ("method", OTHER.to_owned())];
    }
    known.push(labels.clone());
    labels
}
