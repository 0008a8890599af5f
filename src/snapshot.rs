//! The waist between the collector and everything after it: what the process looked like at one moment.
//!
//! Immutable plain data with public fields. Whoever analyses or exports reads this and nothing else. Sizes are bytes,
//! times epoch seconds (`_s`), ratios 0–1. What could not be read is `None`, never 0.

use std::sync::Arc;

use serde::Serialize;

/// Everything known at one tick of the collector.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was taken, epoch seconds.
    pub taken_at_s: f64,
    /// Seconds since the watch started.
    pub uptime_s: f64,
    /// Who this is.
    pub process: Identity,
    /// What the kernel says of the process.
    pub memory: ProcessMemory,
    /// Exact counters of the wrapped allocator.
    pub totals: Totals,
    /// Where the resident memory is.
    pub ledger: Ledger,
    /// Call sites by live bytes, largest first; bounded, the rest is summed in the last field.
    pub sites: Vec<Arc<Site>>,
    /// Sum over the sites that the bound cut off.
    pub sites_beyond_bound: Usage,
    /// Files mapped as code, for profiles: addresses without a name can be named later by them.
    pub mappings: Arc<[Mapping]>,
    /// Live memory by element type, largest first; bounded.
    pub types: Vec<TypeUsage>,
    /// Memory by scope (component, operation, endpoint); bounded.
    pub scopes: Vec<ScopeUsage>,
    /// The process over time.
    pub history: Arc<ProcessHistory>,
    /// Sizes of sampled allocations, weighted so that the counts are unbiased estimates of all allocations.
    pub size_histogram: Vec<SizeBucket>,
    /// Latency of the sampled calls into the wrapped allocator.
    pub allocator_latency: Vec<LatencyHistogram>,
    /// The recorder's own health.
    pub recorder: RecorderHealth,
}

/// Who the process is; constant while it runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Name of the service.
    pub service: String,
    /// Version of the service.
    pub version: String,
    /// One id per start of a watch.
    pub session_id: String,
    /// When the watch started, epoch seconds.
    pub started_at_s: f64,
    /// Constant labels, in the order they were given.
    pub labels: Vec<(String, String)>,
    /// Where the process runs, as the orchestrator tells it.
    pub placement: Placement,
}

/// Where a process runs in a cluster, from the downward interface: variables or files that the pod's author has set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// Name of the pod.
    pub pod: Option<String>,
    /// Namespace of the pod.
    pub namespace: Option<String>,
    /// Node that the pod runs on.
    pub node: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// Memory limit of the container as its manifest has it.
    pub limit_bytes: Option<u64>,
    /// Memory request of the container as its manifest has it.
    pub request_bytes: Option<u64>,
}

/// Exact counts of the wrapped allocator, since the process began. Live bytes can be a little off between two threads'
/// updates, never by more than what is in flight at the moment of reading.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Bytes asked for, ever.
    pub allocated_bytes: u64,
    /// Bytes given back, ever.
    pub freed_bytes: u64,
    /// Allocations, ever.
    pub allocations: u64,
    /// Frees, ever.
    pub frees: u64,
    /// Allocations by size class: class 0 counts sizes below 1 KiB, class `i` those from `2^(i+9)` to `2^(i+10) - 1` bytes.
    pub allocations_by_class: Vec<u64>,
    /// The largest `live_bytes` that a tick has seen.
    pub peak_live_bytes: u64,
}

impl Totals {
    /// Bytes now alive.
    pub fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.freed_bytes)
    }

    /// Objects now alive.
    pub fn live_objects(&self) -> u64 {
        self.allocations.saturating_sub(self.frees)
    }
}

/// An unbiased estimate with its sampling variance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its sampling variance, in the square of the unit.
    pub variance: f64,
}

impl Estimate {
    /// Half the width of the 95 % interval.
    pub fn error95(&self) -> f64 {
        1.959_964 * self.variance.max(0.0).sqrt()
    }
}

/// Live and cumulative use, estimated from samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Bytes now alive.
    pub live_bytes: Estimate,
    /// Objects now alive.
    pub live_objects: Estimate,
    /// Bytes allocated, ever.
    pub allocated_bytes: f64,
    /// Objects allocated, ever.
    pub allocated_objects: f64,
    /// Samples now alive.
    pub live_samples: u64,
    /// Samples, ever.
    pub samples: u64,
}

/// One frame of a stack, inlined frames standing on their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Frame {
    /// Demangled name with generic arguments where the debug information has them, without the trailing hash.
    pub function: Arc<str>,
    /// Source file as the debug information has it.
    pub file: Option<Arc<str>>,
    /// Line in that file.
    pub line: Option<u32>,
    /// The crate that the function belongs to, where it can be told.
    #[serde(rename = "crate")]
    pub krate: Option<Arc<str>>,
    /// What kind of code it is.
    #[serde(skip)]
    pub origin: Origin,
    /// Inlined into the next frame.
    #[serde(skip)]
    pub inlined: bool,
    /// The return address that the frame came from; several inlined frames share one.
    #[serde(skip)]
    pub address: u64,
}

impl Frame {
    /// Whether something is known of the code: without a name the function is an address, `service+0x1f2c` or `0x55d0`.
    pub fn has_name(&self) -> bool {
        let address = self.function.rsplit('+').next().and_then(|text| text.strip_prefix("0x"));
        let is_address = address.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let is_nameless = is_address && self.origin == Origin::Unknown && self.file.is_none();
        !(self.function.is_empty() || is_nameless)
    }
}

/// A file that is mapped as code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// First address of its code.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Offset in the file of the byte at `start`.
    pub file_offset: u64,
    /// The file.
    pub path: String,
    /// The linker's identification of the file, in hexadecimal; empty if it has none.
    pub build_id: String,
}

/// Whose code a frame is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The service's own crates (the main binary's source tree).
    Application,
    /// A crate from a registry or a git checkout.
    Dependency,
    /// `std`, `core`, `alloc`, the runtime's start-up code.
    Std,
    /// The allocator interface and this crate.
    Allocator,
    /// Not Rust, or nothing is known.
    #[default]
    Unknown,
}

/// Where the same code allocates: a stack with the frames of the standard library and the allocator folded away.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Hash of the folded stack's names: stable across restarts and deploys that keep the names.
    pub id: u64,
    /// All frames, leaf first.
    pub stack: Arc<[Frame]>,
    /// Index into `stack` of the frame that asked for the memory: the first that is neither allocator nor standard library.
    pub allocating_frame: Option<usize>,
    /// Index into `stack` of the first frame of the application's own code.
    pub application_frame: Option<usize>,
    /// Element type from the debug information (`app::Session`), where it can be told.
    pub type_name: Option<Arc<str>>,
    /// The scope that holds most of the live bytes.
    pub scope: Scope,
    /// What lives, and what was ever allocated.
    pub usage: Usage,
    /// Live and allocated bytes by age and over time; empty for sites of which too little is known to say anything.
    pub history: Arc<SiteHistory>,
}

/// The component, operation or endpoint on whose behalf memory was allocated. Empty: none was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Component, or `None` outside any scope.
    pub component: Option<Arc<str>>,
    /// Operation within the component.
    pub operation: Option<Arc<str>>,
    /// Matched route of a request.
    pub endpoint: Option<Arc<str>>,
    /// Method of a request.
    pub method: Option<Arc<str>>,
}

/// A site over time. All columns have one length; the oldest point comes first; old points are coarser.
#[derive(Debug, Clone, Default)]
pub struct SiteHistory {
    /// Epoch seconds.
    pub times_s: Vec<f64>,
    /// Live bytes at that time.
    pub live_bytes: Vec<f64>,
    /// Sampling variance of `live_bytes`.
    pub live_variance: Vec<f64>,
    /// Bytes allocated up to that time.
    pub allocated_bytes: Vec<f64>,
    /// Live bytes that were then at least so old, for some ages, smallest first. What passes through a site quickly does not
    /// show here, what stays does.
    pub aged: Vec<AgedSeries>,
    /// Cohorts by birth, oldest first.
    pub cohorts: Vec<Cohort>,
}

/// Live bytes of at least some age, at the times of the [`SiteHistory`] it belongs to.
#[derive(Debug, Clone, Default)]
pub struct AgedSeries {
    /// Seconds since the allocation, at least.
    pub min_age_s: f64,
    /// Live bytes.
    pub live_bytes: Vec<f64>,
}

/// What was allocated in one stretch of time, and how much of it is still alive.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cohort {
    /// Start of the stretch, epoch seconds.
    pub born_from_s: f64,
    /// End of the stretch.
    pub born_to_s: f64,
    /// Bytes allocated in it.
    pub allocated_bytes: f64,
    /// Bytes of them still alive.
    pub live_bytes: f64,
    /// Samples taken in it.
    pub samples: u32,
    /// Samples of them still alive.
    pub live_samples: u32,
}

/// Live memory by element type.
#[derive(Debug, Clone, Default)]
pub struct TypeUsage {
    /// The type's name.
    pub name: Arc<str>,
    /// What lives, and what was ever allocated.
    pub usage: Usage,
}

/// Memory by scope. `exact` counters come from the threads' own counters, `usage` from samples.
#[derive(Debug, Clone, Default)]
pub struct ScopeUsage {
    /// Which scope.
    pub scope: Scope,
    /// Bytes allocated inside it, exact.
    pub allocated_bytes: u64,
    /// Bytes freed inside it, exact (whoever allocated them).
    pub freed_bytes: u64,
    /// Allocations inside it, exact.
    pub allocations: u64,
    /// Times the scope was entered and left (requests, for an endpoint).
    pub entries: u64,
    /// What lives of it, estimated.
    pub usage: Usage,
    /// Sizes of its sampled allocations, weighted.
    pub size_histogram: Vec<SizeBucket>,
    /// Net bytes a request, for endpoints: `(upper bound, count)`, cumulative as in Prometheus.
    pub request_net_bytes: Option<ValueHistogram>,
    /// Allocated bytes a request, for endpoints.
    pub request_allocated_bytes: Option<ValueHistogram>,
    /// Live bytes over time: epoch seconds, and bytes.
    pub live_history: (Vec<f64>, Vec<f64>),
}

/// A histogram in Prometheus' form.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ValueHistogram {
    /// Upper bounds, increasing; the last bucket, +Inf, is not listed.
    pub upper_bounds: Vec<f64>,
    /// Cumulative counts, one a bound; `count` is the +Inf bucket.
    pub cumulative: Vec<u64>,
    /// All observations.
    pub count: u64,
    /// Sum of the observations.
    pub sum: f64,
}

/// Allocations of one range of sizes, estimated from samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct SizeBucket {
    /// Largest size in the bucket; the next bucket begins above it.
    pub upper_bytes: u64,
    /// Estimated allocations of these sizes.
    pub count: f64,
    /// Estimated bytes of these sizes.
    pub sum_bytes: f64,
}

/// Latency of one of the allocator's calls, from sampled calls.
#[derive(Debug, Clone, Default)]
pub struct LatencyHistogram {
    /// `alloc`, `alloc_zeroed`, `realloc`.
    pub call: &'static str,
    /// The distribution, in seconds.
    pub histogram: ValueHistogram,
}

/// Collections of an embedded garbage-collected runtime.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PauseHistogram {
    /// Which generation; 0 is the youngest.
    pub generation: &'static str,
    /// How long they took, in seconds.
    pub histogram: ValueHistogram,
}

/// The process over time. All columns have one length; old points are coarser.
#[derive(Debug, Clone, Default)]
pub struct ProcessHistory {
    /// Epoch seconds.
    pub times_s: Vec<f64>,
    /// Exact live heap bytes.
    pub heap_live_bytes: Vec<f64>,
    /// Resident set; NaN where it could not be read.
    pub rss_bytes: Vec<f64>,
    /// What counts against the limit (the cgroup's working set where there is a limit, else RSS); NaN where unknown.
    pub usage_bytes: Vec<f64>,
    /// Bytes allocated up to that time: the load.
    pub allocated_bytes: Vec<f64>,
}

/// What the kernel says of the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProcessMemory {
    /// Resident set.
    pub rss_bytes: Option<u64>,
    /// The largest resident set so far.
    pub peak_rss_bytes: Option<u64>,
    /// Proportional share of resident pages; read rarely.
    pub pss_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// Resident anonymous pages.
    pub anonymous_bytes: Option<u64>,
    /// Resident file pages.
    pub file_bytes: Option<u64>,
    /// Resident shared-memory pages.
    pub shared_bytes: Option<u64>,
    /// Pages of the process in swap.
    pub swap_bytes: Option<u64>,
    /// Page tables.
    pub page_table_bytes: Option<u64>,
    /// Private writable address space, what `RLIMIT_DATA` counts.
    pub data_bytes: Option<u64>,
    /// Page faults served without and with I/O.
    pub minor_faults: Option<u64>,
    /// Page faults that needed I/O.
    pub major_faults: Option<u64>,
    /// User and system time of the process, seconds.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Limit of open file descriptors.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Start of the process, epoch seconds.
    pub start_time_s: Option<f64>,
    /// The limit that will be hit first.
    pub limit: Option<Limit>,
    /// Memory pressure.
    pub pressure: Option<Pressure>,
    /// The cgroup's counts of limits hit.
    pub events: Option<MemoryEvents>,
    /// Every limit that applies, the own control group's first; `limit` is the smallest of them.
    pub limits: Vec<Limit>,
    /// What the memory charged to the own control group is.
    pub cgroup: Option<CgroupMemory>,
    /// Memory of the machine.
    pub host_total_bytes: Option<u64>,
    /// Memory of the machine that could be had without swapping.
    pub host_available_bytes: Option<u64>,
    /// What could not be read, and why.
    pub missing: Vec<Missing>,
}

/// A file of the kernel that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Which figures are missing for it.
    pub what: &'static str,
    /// The file and what the system said.
    pub reason: String,
}

/// The smallest memory limit that applies.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Limit {
    /// The limit.
    pub bytes: u64,
    /// Which file or call gave it.
    pub source: String,
    /// What counts against it now, read from the level that gave it.
    pub usage_bytes: Option<u64>,
    /// The same without page cache that can be dropped.
    pub working_set_bytes: Option<u64>,
    /// The most that ever counted against it.
    pub peak_bytes: Option<u64>,
    /// Where the kernel begins to slow the group down (`memory.high`), below the limit.
    pub throttle_bytes: Option<u64>,
}

/// Pressure stall information of memory: share of time (0–1) that work waited for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Some task waited, average of 10 s.
    pub some_avg10: f64,
    /// Some task waited, average of 60 s.
    pub some_avg60: f64,
    /// All tasks waited, average of 10 s.
    pub full_avg10: f64,
    /// All tasks waited, average of 60 s.
    pub full_avg60: f64,
    /// Some task waited, average of 300 s.
    pub some_avg300: f64,
    /// All tasks waited, average of 300 s.
    pub full_avg300: f64,
    /// Seconds that some task has waited, ever.
    pub some_seconds: f64,
    /// Seconds that all tasks have waited, ever.
    pub full_seconds: f64,
    /// Which file gave it: the own control group's, or the machine's.
    pub source: String,
}

/// What the memory charged to a control group is (`memory.stat`), its descendants included.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CgroupMemory {
    /// Anonymous pages.
    pub anonymous_bytes: Option<u64>,
    /// Page cache, shared memory included.
    pub file_bytes: Option<u64>,
    /// Page cache that was not used lately and can be dropped.
    pub inactive_file_bytes: Option<u64>,
    /// Shared memory and tmpfs.
    pub shared_bytes: Option<u64>,
    /// The kernel's own memory on behalf of the group; not told by version 1.
    pub kernel_bytes: Option<u64>,
    /// The kernel's objects; part of `kernel_bytes`.
    pub slab_bytes: Option<u64>,
    /// Buffers of sockets.
    pub socket_bytes: Option<u64>,
    /// Anonymous pages that came back from swap soon after they had gone: a group short of memory.
    pub refaulted_anonymous: Option<u64>,
    /// File pages that came back soon after they had been dropped.
    pub refaulted_file: Option<u64>,
    /// Page faults that needed I/O.
    pub major_faults: Option<u64>,
}

/// Counts of limits hit (`memory.events`): `high`, `max` and `oom` at the control group that gives the limit, `oom_kill`
/// in the own group. Version 1 has no throttle, so `high` is 0 there, and it counts kills only, so `oom` is `oom_kill`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MemoryEvents {
    /// Reclaims because of `memory.high`.
    pub high: u64,
    /// Times usage was about to go over the limit.
    pub max: u64,
    /// Times the limit was reached and allocation was about to fail.
    pub oom: u64,
    /// Processes killed.
    pub oom_kill: u64,
}

/// Where the resident memory is: the terms add up to RSS where everything could be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Ledger {
    /// Exact live bytes of the wrapped allocator.
    pub live_heap: u64,
    /// What the allocator keeps beyond that: retention, fragmentation, headers.
    pub allocator_overhead: Option<u64>,
    /// Resident stacks.
    pub stacks: Option<u64>,
    /// Resident file mappings.
    pub mapped_files: Option<u64>,
    /// Resident anonymous memory that no term explains: C code's malloc, mmap.
    pub anonymous_other: Option<u64>,
    /// Resident mappings of heapwatch itself.
    pub own: Option<u64>,
    /// The part of `live_heap` that is certainly not resident: asked for and never touched, or swapped out. The terms
    /// add up to RSS when it is taken off `live_heap`.
    pub live_heap_not_resident: Option<u64>,
    /// Share of RSS that the wrapped allocator does not see: stacks, file mappings and `anonymous_other`.
    pub unseen_ratio: Option<f64>,
    /// The term that grew most, once one did.
    pub growing_term: Option<&'static str>,
}

/// The recorder's own health and losses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RecorderHealth {
    /// Samples taken.
    pub samples: u64,
    /// Samples now alive.
    pub live_samples: u64,
    /// Samples whose free has been seen.
    pub freed_samples: u64,
    /// Samples lost, by cause.
    pub dropped: Dropped,
    /// Bytes of the samples that the hooks lost.
    pub dropped_bytes: u64,
    /// Share of stacks that do not reach their end.
    pub truncated_stacks_ratio: f64,
    /// Memory of the recorder itself: its mappings and its threads' heap.
    pub own_bytes: u64,
    /// CPU time of the recorder's threads.
    pub cpu_seconds: f64,
    /// Mean distance of samples in bytes.
    pub sample_interval_bytes: u64,
    /// How stacks are taken: `unwind_tables`, `frame_pointers`, `backtrace`.
    pub stack_method: &'static str,
    /// Times the live table was thinned.
    pub thinnings: u64,
    /// Ticks of the collector.
    pub ticks: u64,
}

/// Samples lost, by cause. The bytes that a lost sample stood for are given to the next one of the thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The thread's ring had no room.
    pub ring_full: u64,
    /// The live table had no room.
    pub table_full: u64,
    /// The page map could not grow, or the address is out of its range.
    pub page_map: u64,
    /// The thread has no block (it is exiting, or memory was refused).
    pub no_thread_block: u64,
    /// Removed by thinning; their weight is carried by the samples that stayed.
    pub thinned: u64,
    /// The stack table was full: the sample counts, its stack is `other`.
    pub stack_table_full: u64,
}
