//! Heap profiles that `go tool pprof`, Pyroscope and Parca read: gzip profile.proto with Go's four sample types.
//!
//! Values are the snapshot's unbiased estimates, so readers must not scale them again; `period` is the sampling interval, for
//! information. Fractions are carried from sample to sample: each column sums to the rounded total. What the bound on sites
//! cut off is one sample under `[other sites]`, so that totals are whole.
//! Frames that have no name are locations with address and mapping only; `heapwatch symbolize` names them later.

mod document;
pub(crate) mod messages;
mod read;
pub(crate) mod tables;
mod text;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

pub(crate) use self::read::decode;
pub use self::read::{Delta, Profile, Stack, difference, read};
use crate::export::ProfileKind;
use crate::snapshot::Snapshot;

/// The sample types in Go's order, with their units.
pub const SAMPLE_TYPES: [(&str, &str); 4] =
    [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];

/// Gzip profile.proto of a snapshot.
pub fn heap_profile(snapshot: &Snapshot, kind: ProfileKind) -> Vec<u8> {
    compressed(&document::of_snapshot(snapshot, kind))
}

/// Gzip profile.proto of what changed between two snapshots of one process. Live columns can be negative.
pub fn delta_profile(older: &Snapshot, newer: &Snapshot, kind: ProfileKind) -> Vec<u8> {
    compressed(&document::of_difference(older, newer, kind))
}

/// The same as text, for `?debug=1`: the legacy heap format, which pprof reads too, with names as comments.
pub fn heap_text(snapshot: &Snapshot) -> String {
    text::render(snapshot)
}

pub(crate) fn compressed(profile: &messages::Profile) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let written = gzip.write_all(&profile.encode_to_vec());
    written.and_then(|()| gzip.finish()).unwrap_or_default()
}
