//! Collapsed stacks: `root;…;leaf value`, one line a stack, as flame graph tools read them.

use std::collections::BTreeMap;

use crate::snapshot::{Frame, Site, Snapshot, Usage};

/// Which value a line carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Bytes now alive.
    LiveBytes,
    /// Objects now alive.
    LiveObjects,
    /// Bytes allocated, ever.
    AllocatedBytes,
    /// Objects allocated, ever.
    AllocatedObjects,
}

impl Value {
    /// The unit of the values.
    pub fn unit(self) -> &'static str {
        match self {
            Value::LiveBytes | Value::AllocatedBytes => "bytes",
            Value::LiveObjects | Value::AllocatedObjects => "objects",
        }
    }

    fn of(self, usage: &Usage) -> u64 {
        let value = match self {
            Value::LiveBytes => usage.live_bytes.value,
            Value::LiveObjects => usage.live_objects.value,
            Value::AllocatedBytes => usage.allocated_bytes,
            Value::AllocatedObjects => usage.allocated_objects,
        };
        // Saturates at the ends, and NaN is 0.
        value.round() as u64
    }
}

/// Name of the line for the sites beyond the snapshot's bound.
const OTHER: &str = "[other sites]";

/// All sites of a snapshot, sorted by stack; equal stacks are one line, stacks without a value have none.
pub fn collapsed(snapshot: &Snapshot, value: Value) -> String {
    let lines = by_stack(snapshot, value).into_iter().filter(|(_, value)| *value > 0);
    lines.map(|(stack, value)| format!("{stack} {value}\n")).collect()
}

/// Two snapshots side by side: `root;…;leaf before after`, for growth flame graphs.
pub fn collapsed_growth(older: &Snapshot, newer: &Snapshot, value: Value) -> String {
    let mut both: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (stack, before) in by_stack(older, value) {
        both.entry(stack).or_default().0 = before;
    }
    for (stack, after) in by_stack(newer, value) {
        both.entry(stack).or_default().1 = after;
    }
    let lines = both.into_iter().filter(|(_, counts)| *counts != (0, 0));
    lines.map(|(stack, (before, after))| format!("{stack} {before} {after}\n")).collect()
}

fn by_stack(snapshot: &Snapshot, value: Value) -> BTreeMap<String, u64> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    let other = (OTHER.to_owned(), value.of(&snapshot.sites_beyond_bound));
    let sites = snapshot.sites.iter().map(|site| (stack_line(site), value.of(&site.usage)));
    for (stack, value) in sites.chain([other]) {
        let sum = sums.entry(stack).or_default();
        *sum = sum.saturating_add(value);
    }
    sums
}

fn stack_line(site: &Site) -> String {
    let names: Vec<String> = site.stack.iter().rev().map(plain).collect();
    if names.is_empty() { "[unknown]".to_owned() } else { names.join(";") }
}

/// A semicolon ends a frame and a line break a stack, so neither can be in a name (`[u8; 32]` has one).
fn plain(frame: &Frame) -> String {
    frame.function.replace("; ", ", ").replace([';', '\n', '\r'], ",")
}
