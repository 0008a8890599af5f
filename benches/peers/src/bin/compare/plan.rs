//! The rows and columns of the table.

use heapwatch_peers::clock::Clock;

/// A row: a program, and how it is started.
#[derive(Debug)]
pub struct Variant {
    pub name: &'static str,
    /// The bare allocator that it is compared with; its own name if it is one.
    pub base: &'static str,
    pub binary: &'static str,
    /// `None` leaves the recorder off.
    pub interval_bytes: Option<u64>,
    /// Does one part in so many of the work: for recorders so slow that all of it would take hours.
    pub share: u64,
}

const KIB: u64 = 1024;

const fn bare(name: &'static str, binary: &'static str) -> Variant {
    Variant { name, base: name, binary, interval_bytes: None, share: 1 }
}

const fn over(base: &'static str, name: &'static str, binary: &'static str, interval_bytes: u64) -> Variant {
    Variant { name, base, binary, interval_bytes: Some(interval_bytes), share: 1 }
}

/// All rows, in the order of the table and of a round.
pub static VARIANTS: [Variant; 17] = [
    bare("System", "bare_system"),
    Variant { interval_bytes: None, ..over("System", "heapwatch, not started", "heapwatch_system", 0) },
    over("System", "heapwatch 512 KiB", "heapwatch_system", 512 * KIB),
    over("System", "heapwatch 64 KiB", "heapwatch_system", 64 * KIB),
    over("System", "dial9 512 KiB", "peer_dial9", 512 * KIB),
    over("System", "dial9 64 KiB", "peer_dial9", 64 * KIB),
    over("System", "tracking-allocator", "peer_tracking_allocator", 0),
    Variant { share: 50, ..over("System", "dhat", "peer_dhat", 0) },
    bare("mimalloc", "bare_mimalloc"),
    Variant { interval_bytes: None, ..over("mimalloc", "heapwatch on mimalloc, not started", "heapwatch_mimalloc", 0) },
    over("mimalloc", "heapwatch on mimalloc 512 KiB", "heapwatch_mimalloc", 512 * KIB),
    over("mimalloc", "heapwatch on mimalloc 64 KiB", "heapwatch_mimalloc", 64 * KIB),
    bare("jemalloc", "bare_jemalloc"),
    over("jemalloc", "heapwatch on jemalloc 512 KiB", "heapwatch_jemalloc", 512 * KIB),
    over("jemalloc", "heapwatch on jemalloc 64 KiB", "heapwatch_jemalloc", 64 * KIB),
    over("jemalloc", "jemalloc prof 512 KiB", "peer_jemalloc_prof", 512 * KIB),
    over("jemalloc", "jemalloc prof 64 KiB", "peer_jemalloc_prof", 64 * KIB),
];

/// What a column shows of a work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// The time as a ratio to the bare allocator's.
    Ratio(Clock),
    /// What the time is more than the bare allocator's, in nanoseconds a unit.
    MoreNs(Clock),
    /// The recorder's own memory, as it says.
    OwnBytes,
    /// What is resident beyond the bare allocator's process.
    MoreResident,
}

#[derive(Debug)]
pub struct Column {
    pub title: &'static str,
    pub work: &'static str,
    pub figure: Figure,
}

const fn cpu(title: &'static str, work: &'static str) -> Column {
    Column { title, work, figure: Figure::Ratio(Clock::Process) }
}

/// All columns. Those of one work come from the same runs.
pub static COLUMNS: [Column; 16] = [
    cpu("pair 64 B", "pair"),
    cpu("10k batch", "batch"),
    cpu("cross-thread", "cross_thread"),
    cpu("realloc to 1 MiB", "realloc"),
    cpu("zeroed", "zeroed"),
    cpu("HashMap churn", "hash_map"),
    cpu("json", "json"),
    cpu("http", "http"),
    Column { title: "http, wall", work: "http", figure: Figure::Ratio(Clock::Wall) },
    cpu("60 deep", "deep"),
    Column { title: "two threads, wall", work: "two_threads", figure: Figure::Ratio(Clock::Wall) },
    cpu("push 512 MiB", "push"),
    cpu("4 GiB heap", "big_heap"),
    Column { title: "own memory, 4 GiB", work: "big_heap", figure: Figure::OwnBytes },
    Column { title: "more RSS, 4 GiB", work: "big_heap", figure: Figure::MoreResident },
    Column { title: "one sample", work: "sample", figure: Figure::MoreNs(Clock::Thread) },
];

/// Rounds of a full run: fewer where a round is long.
pub fn rounds(work: &str) -> u32 {
    match work {
        "big_heap" | "sample" => 2,
        _ => 5,
    }
}

/// Whether a cell is measured at all.
pub fn applies(variant: &Variant, work: &str) -> bool {
    match work {
        // dhat cannot hold a heap this large. To fill it takes long, so one interval is enough.
        "big_heap" => variant.share == 1 && variant.interval_bytes != Some(64 * KIB),
        // A sample is taken of every allocation, so one row of each sampling recorder is enough.
        "sample" => variant.interval_bytes.is_none_or(|bytes| bytes == 512 * KIB),
        _ => true,
    }
}

/// The interval that a work needs; else the variant's own.
pub fn interval_bytes(variant: &Variant, work: &str) -> Option<u64> {
    let own = variant.interval_bytes?;
    Some(if work == "sample" { 1 } else { own })
}
