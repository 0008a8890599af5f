//! What the kernel says of the process: resident memory, the limit that will be hit first, pressure, faults, descriptors.
//!
//! Three cadences, by cost. Every tick: one `pread` for the resident set and one for the usage of the limit's group.
//! Every few seconds: everything else that is a counter. Rarely: `smaps_rollup`, which walks the page tables under the
//! lock that the process's own `mmap` needs; it is put off further when it turns out to be slow.
//!
//! Invariant: nothing here fails. A figure that cannot be read is `None`, and [`ProcessMemory::missing`] says why.

pub mod accounting;
pub mod cgroup;
pub mod descriptors;
pub mod limits;
pub mod memory;
pub mod placement;
pub mod pressure;
pub mod root;
pub mod system;
pub mod text;

use std::time::{Duration, Instant};

use self::cgroup::{Group, Version};
use self::limits::UsageFollower;
use self::root::KeptFile;
pub use self::root::ProcRoot;
pub use self::system::thread_cpu_time;
use crate::snapshot::{Missing, Pressure, ProcessMemory};

/// How often the dearer figures are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Counters in some twenty small files. Default 10 s.
    pub counters: Duration,
    /// The proportional share, by a walk of the page tables; `None` never reads it. Default 60 s.
    pub proportional: Option<Duration>,
}

impl Default for Cadence {
    fn default() -> Cadence {
        Cadence { counters: Duration::from_secs(10), proportional: Some(Duration::from_secs(60)) }
    }
}

/// The next walk of the page tables waits at least this many times as long as the last one took, so that walking takes
/// at most a thousandth of the time.
const WALK_REST_FACTOR: u32 = 1000;

/// Reads the process's figures again and again, with the files kept open.
#[derive(Debug)]
pub struct ProcessReader {
    root: ProcRoot,
    cadence: Cadence,
    files: Files,
    pid: u32,
    boot_time_s: Option<u64>,
    follower: Option<UsageFollower>,
    counters_due: Option<Instant>,
    proportional_due: Option<Instant>,
    memory: ProcessMemory,
}

#[derive(Debug)]
struct Files {
    statm: KeptFile,
    status: KeptFile,
    stat: KeptFile,
    limits: KeptFile,
    meminfo: KeptFile,
}

impl Files {
    fn new(root: &ProcRoot) -> Files {
        Files {
            statm: KeptFile::new(root, "/proc/self/statm"),
            status: KeptFile::new(root, "/proc/self/status"),
            stat: KeptFile::new(root, "/proc/self/stat"),
            limits: KeptFile::new(root, "/proc/self/limits"),
            meminfo: KeptFile::new(root, "/proc/meminfo"),
        }
    }
}

impl ProcessReader {
    /// Nothing is read before the first tick.
    pub fn new(root: ProcRoot, cadence: Cadence) -> ProcessReader {
        ProcessReader {
            files: Files::new(&root),
            root,
            cadence,
            pid: std::process::id(),
            boot_time_s: None,
            follower: None,
            counters_due: None,
            proportional_due: None,
            memory: ProcessMemory::default(),
        }
    }

    /// The figures of the last tick.
    pub fn latest(&self) -> &ProcessMemory {
        &self.memory
    }

    /// The figures now, those of the slower cadences as last read.
    pub fn tick(&mut self, now: Instant) -> &ProcessMemory {
        self.forget_parent();
        if self.counters_due.is_none_or(|due| now >= due) {
            self.read_counters();
            self.counters_due = now.checked_add(self.cadence.counters);
        } else {
            self.follow_usage();
        }
        self.read_resident();
        self.read_proportional(now);
        &self.memory
    }

    /// A file opened before a fork still shows the parent.
    fn forget_parent(&mut self) {
        if self.pid != std::process::id() {
            *self = ProcessReader::new(self.root.clone(), self.cadence);
        }
    }

    fn read_resident(&mut self) {
        let page_bytes = system::page_bytes();
        let statm = self.files.statm.read().and_then(|content| parsed(memory::statm(content, page_bytes)));
        if let Some(statm) = note(&mut self.memory.missing, "rss_bytes", statm) {
            self.memory.rss_bytes = Some(statm.rss_bytes);
            self.memory.virtual_bytes = Some(statm.virtual_bytes);
            self.memory.peak_rss_bytes = self.memory.peak_rss_bytes.map(|peak| peak.max(statm.rss_bytes));
        }
    }

    fn follow_usage(&mut self) {
        if let (Some(follower), Some(limit)) = (&mut self.follower, &mut self.memory.limit) {
            follower.update(limit, self.memory.virtual_bytes);
        }
    }

    /// Starts from nothing, so that what can no longer be read is not shown as it was.
    fn read_counters(&mut self) {
        self.memory = ProcessMemory { pss_bytes: self.memory.pss_bytes, ..ProcessMemory::default() };
        self.read_status();
        self.read_stat();
        self.read_descriptors();
        self.read_host();
        self.read_groups();
    }

    fn read_status(&mut self) {
        let status = self.files.status.read();
        if let Some(content) = note(&mut self.memory.missing, "anonymous_bytes and its like", status) {
            memory::apply_status(content, &mut self.memory);
        }
    }

    fn read_stat(&mut self) {
        let stat = self.files.stat.read().and_then(|content| parsed(memory::stat(content)));
        let Some(stat) = note(&mut self.memory.missing, "faults and start time", stat) else { return };
        let ticks = system::ticks_per_second();
        self.memory.minor_faults = Some(stat.minor_faults);
        self.memory.major_faults = Some(stat.major_faults);
        self.memory.cpu_seconds = Some(stat.cpu_ticks as f64 / ticks);
        self.memory.start_time_s = self.boot_time_s().map(|boot| boot as f64 + stat.start_ticks as f64 / ticks);
    }

    /// Read once: `/proc/stat` is long, and the kernel's answer moves by a second when the clock is set.
    fn boot_time_s(&mut self) -> Option<u64> {
        if self.boot_time_s.is_none() {
            let boot = self.root.read("/proc/stat").and_then(|content| parsed(memory::boot_time_s(&content)));
            self.boot_time_s = note(&mut self.memory.missing, "start_time_s", boot);
        }
        self.boot_time_s
    }

    fn read_descriptors(&mut self) {
        let open = descriptors::open_descriptors(&self.root);
        self.memory.open_fds = note(&mut self.memory.missing, "open_fds", open);
        let limits = self.files.limits.read().map(descriptors::process_limits);
        let limits = note(&mut self.memory.missing, "max_fds", limits).unwrap_or_default();
        self.memory.max_fds = limits.open_files;
        self.memory.limits = limits::of_process(limits, &self.memory);
    }

    fn read_host(&mut self) {
        let meminfo = self.files.meminfo.read().map(memory::meminfo);
        let host = note(&mut self.memory.missing, "host_total_bytes", meminfo).unwrap_or_default();
        (self.memory.host_total_bytes, self.memory.host_available_bytes) = host;
    }

    /// The membership is read anew each time: a process can be moved, and a limit raised, while it runs.
    fn read_groups(&mut self) {
        let cgroup = self.root.read("/proc/self/cgroup");
        let cgroup = note(&mut self.memory.missing, "limit", cgroup).unwrap_or_default();
        let mountinfo = self.root.read("/proc/self/mountinfo").unwrap_or_default();
        let groups = cgroup::groups(&cgroup, &mountinfo);
        let own = groups.iter().flat_map(|group| limits::of_group(&self.root, group));
        self.memory.limits = own.chain(std::mem::take(&mut self.memory.limits)).collect();
        self.memory.limit = limits::smallest(&self.memory.limits).cloned();
        self.follower = self.memory.limit.as_ref().map(|limit| UsageFollower::new(&self.root, limit));
        self.memory.events = accounting::events(&self.root, &groups, self.memory.limit.as_ref());
        self.memory.cgroup = accounting::memory(&self.root, &groups);
        self.memory.pressure = self.pressure(&groups);
    }

    fn pressure(&mut self, groups: &[Group]) -> Option<Pressure> {
        let read = |path: &str| {
            let content = self.root.read(path)?;
            parsed(pressure::pressure(&content, path)).map_err(|e| format!("{path}: {e}"))
        };
        let mut own = groups.iter().filter(|group| group.version == Version::V2);
        let own = own.find_map(|group| read(&format!("{}/memory.pressure", group.directory())).ok());
        let pressure = own.map_or_else(|| read("/proc/pressure/memory"), Ok);
        note(&mut self.memory.missing, "pressure", pressure)
    }

    fn read_proportional(&mut self, now: Instant) {
        let Some(period) = self.cadence.proportional else { return };
        if self.proportional_due.is_some_and(|due| now < due) {
            return;
        }
        let start = Instant::now();
        let content = self.root.read("/proc/self/smaps_rollup");
        let rest = start.elapsed().saturating_mul(WALK_REST_FACTOR).max(period);
        let pss = content.and_then(|content| parsed(memory::rollup_pss(&content)));
        self.memory.pss_bytes = note(&mut self.memory.missing, "pss_bytes", pss);
        self.proportional_due = now.checked_add(rest);
    }
}

fn parsed<T>(value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| "not in the form this system writes it".to_owned())
}

/// Keeps the reason of a failure, once for each figure, and forgets it after a success.
fn note<T>(missing: &mut Vec<Missing>, what: &'static str, result: Result<T, String>) -> Option<T> {
    missing.retain(|entry| entry.what != what);
    result.map_err(|reason| missing.push(Missing { what, reason })).ok()
}

#[cfg(test)]
mod tests;
