//! The RSS ledger: where the resident memory is, so that "2.7 MB live against 280 MB RSS" has an answer.
//!
//! RSS = resident live heap + allocator overhead + stacks + mapped files + our own mappings + anonymous memory that
//! nothing explains. A stretch of anonymous memory is the wrapped allocator's when a sampled live block lies in it;
//! without any sample the C library's heap is taken for it. The attribution is by mapping, as the kernel merges
//! neighbours: C code that shares the allocator's mappings counts as the allocator's overhead.
//!
//! Invariant: of one complete reading the terms add up to RSS exactly. A partial reading gives no split, only what the
//! kernel counts by itself.

pub mod growth;
pub mod smaps;

use std::fs::File;
use std::time::{Duration, Instant};

use self::growth::{History, Point};
use self::smaps::{Kind, Mappings, Region};
use crate::collect::process::root::ProcRoot;
use crate::snapshot::{Ledger, ProcessMemory};

/// Readings are this far apart unless one is slow.
pub const PERIOD: Duration = Duration::from_secs(10);
/// The next reading waits at least this many times as long as the last one took.
const REST_FACTOR: u32 = 1000;

/// A sampled block that is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBlock {
    /// Where it begins.
    pub address: u64,
    /// Its size, as asked for.
    pub bytes: u64,
}

/// What the recorder knows of the heap at the moment of a reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeapView<'a> {
    /// Exact live bytes of the wrapped allocator.
    pub live_bytes: u64,
    /// Sampled live blocks, in any order; they show which mappings are the allocator's.
    pub blocks: &'a [LiveBlock],
    /// Resident bytes of the recorder's own mappings, or their size where only that is known.
    pub own_mapped_bytes: u64,
    /// An address in the stack of each thread that is known.
    pub stack_addresses: &'a [u64],
}

/// Reads the ledger again and again and remembers its terms.
#[derive(Debug)]
pub struct LedgerKeeper {
    root: ProcRoot,
    due: Option<Instant>,
    ledger: Ledger,
    history: History,
}

impl LedgerKeeper {
    /// Nothing is read before the first update.
    pub fn new(root: ProcRoot) -> LedgerKeeper {
        LedgerKeeper { root, due: None, ledger: Ledger::default(), history: History::default() }
    }

    /// Whether the next [`update`](Self::update) should come now. Asked before, so that the caller gathers the blocks
    /// only then.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// The last reading.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reads the mappings and builds the ledger. `now_s` are epoch seconds.
    pub fn update(&mut self, now: Instant, now_s: f64, heap: &HeapView<'_>, memory: &ProcessMemory) -> &Ledger {
        let start = Instant::now();
        let mappings = self.mappings(heap.stack_addresses);
        self.due = now.checked_add(start.elapsed().saturating_mul(REST_FACTOR).max(PERIOD));
        self.ledger = match mappings {
            Some(mappings) if !mappings.is_partial => {
                let split = split(&mappings, heap);
                self.history.push(split.point(now_s, mappings.resident_bytes));
                split.ledger(heap.live_bytes, mappings.resident_bytes)
            }
            _ => unsplit(heap, memory),
        };
        self.ledger.growing_term = self.history.growing_term();
        &self.ledger
    }

    fn mappings(&self, stack_addresses: &[u64]) -> Option<Mappings> {
        let file = File::open(self.root.path("/proc/self/smaps")).ok()?;
        smaps::read(file, stack_addresses).ok().filter(|mappings| mappings.resident_bytes > 0)
    }
}

/// Resident bytes by term; they add up to the resident bytes of the mappings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Split {
    live_heap: u64,
    allocator_overhead: u64,
    stacks: u64,
    mapped_files: u64,
    own: u64,
    anonymous_other: u64,
}

fn split(mappings: &Mappings, heap: &HeapView<'_>) -> Split {
    let Anonymous { allocators, untouched, stacks, rest } = attribute(&mappings.anonymous, heap.blocks);
    // What is certainly not resident cannot be the live part of what is.
    let live_heap = heap.live_bytes.saturating_sub(untouched).min(allocators + rest);
    // Live bytes beyond the attributed mappings lie in mappings that no sample has hit.
    let beyond = live_heap.saturating_sub(allocators);
    let own = heap.own_mapped_bytes.min(rest - beyond);
    Split {
        live_heap,
        allocator_overhead: allocators + beyond - live_heap,
        stacks,
        mapped_files: mappings.file_bytes,
        own,
        anonymous_other: rest - beyond - own,
    }
}

/// Resident anonymous bytes by whose they are, and bytes of blocks that are not resident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Anonymous {
    allocators: u64,
    untouched: u64,
    stacks: u64,
    rest: u64,
}

/// The regions with a sampled block are the allocator's, and if one of them is the C library's heap, all of that is:
/// an arena of a quiet thread may have no sample. Where the blocks alone are larger than what is resident, the
/// difference was never touched, or swapped out.
fn attribute(regions: &[Region], blocks: &[LiveBlock]) -> Anonymous {
    let mut sampled: Vec<Option<u64>> = vec![None; regions.len()];
    let mut sums = Anonymous::default();
    for block in blocks {
        match region_of(regions, block.address).and_then(|i| sampled.get_mut(i)) {
            Some(bytes) => *bytes = Some(bytes.unwrap_or(0).saturating_add(block.bytes)),
            // A mapping without a resident page is not among the regions.
            None => sums.untouched = sums.untouched.saturating_add(block.bytes),
        }
    }
    let hits_system_heap = regions.iter().zip(&sampled).any(|(r, s)| s.is_some() && r.kind == Kind::SystemHeap);
    let system_heap_is_ours = hits_system_heap || sampled.iter().all(Option::is_none);
    for (region, bytes) in regions.iter().zip(sampled) {
        let resident = region.resident_bytes;
        match (bytes, region.kind) {
            (Some(bytes), _) => {
                sums.allocators += resident;
                sums.untouched = sums.untouched.saturating_add(bytes.saturating_sub(resident));
            }
            (None, Kind::SystemHeap) if system_heap_is_ours => sums.allocators += resident,
            (None, Kind::Stack) => sums.stacks += resident,
            (None, Kind::SystemHeap | Kind::Plain) => sums.rest += resident,
        }
    }
    sums
}

fn region_of(regions: &[Region], address: u64) -> Option<usize> {
    let after = regions.partition_point(|region| region.start <= address);
    let index = after.checked_sub(1)?;
    (address < regions.get(index)?.end).then_some(index)
}

impl Split {
    fn ledger(self, live_bytes: u64, rss_bytes: u64) -> Ledger {
        let unseen = self.stacks + self.mapped_files + self.anonymous_other;
        Ledger {
            live_heap: live_bytes,
            allocator_overhead: Some(self.allocator_overhead),
            stacks: Some(self.stacks),
            mapped_files: Some(self.mapped_files),
            anonymous_other: Some(self.anonymous_other),
            own: Some(self.own),
            live_heap_not_resident: Some(live_bytes - self.live_heap),
            unseen_ratio: (rss_bytes > 0).then(|| unseen as f64 / rss_bytes as f64),
            growing_term: None,
        }
    }

    fn point(self, time_s: f64, rss_bytes: u64) -> Point {
        let terms = [self.live_heap, self.allocator_overhead, self.stacks, self.mapped_files, self.anonymous_other];
        Point { time_s, rss_bytes: rss_bytes as f64, terms: terms.map(|bytes| bytes as f64) }
    }
}

/// What can be said without the mappings.
fn unsplit(heap: &HeapView<'_>, memory: &ProcessMemory) -> Ledger {
    let mapped_files = memory.file_bytes.map(|file| file.saturating_add(memory.shared_bytes.unwrap_or(0)));
    Ledger { live_heap: heap.live_bytes, mapped_files, ..Ledger::default() }
}

#[cfg(test)]
mod tests;
