//! The memory limit that will be hit first, and what counts against it.
//!
//! A process is held by every control group from its own up to the root, by its address-space limits, and by whichever
//! is smallest. Usage is read from the level that gave the limit, since that is what the kernel compares.

use super::cgroup::{Group, Version};
use super::descriptors::ProcessLimits;
use super::root::{KeptFile, ProcRoot};
use super::text;
use crate::snapshot::{Limit, ProcessMemory};

/// Version 1 writes "no limit" as the largest multiple of a page below 2^63, which depends on the page's size.
const NO_LIMIT_FROM: u64 = 1 << 62;

/// The names of a level's files in one layout.
struct Names {
    limit: &'static str,
    usage: &'static str,
    peak: &'static str,
    throttle: Option<&'static str>,
    inactive_file: &'static [u8],
}

fn names(version: Version) -> Names {
    match version {
        Version::V1 => Names {
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            peak: "memory.max_usage_in_bytes",
            throttle: None,
            inactive_file: b"total_inactive_file",
        },
        Version::V2 => Names {
            limit: "memory.max",
            usage: "memory.current",
            peak: "memory.peak",
            throttle: Some("memory.high"),
            inactive_file: b"inactive_file",
        },
    }
}

/// A limit as a file has it; `max`, "no limit" of version 1 and 0 are none.
pub fn parse_limit(content: &[u8]) -> Option<u64> {
    text::number(content).filter(|bytes| (1..NO_LIMIT_FROM).contains(bytes))
}

/// The limits of a group and its ancestors, the own first.
pub fn of_group(root: &ProcRoot, group: &Group) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for (depth, directory) in group.levels().iter().enumerate() {
        if depth == 0 || counts_descendants(root, group.version, directory) {
            limits.extend(of_level(root, group.version, directory));
        }
    }
    limits.extend(of_hidden_ancestor(root, group, &limits));
    limits
}

fn of_level(root: &ProcRoot, version: Version, directory: &str) -> Option<Limit> {
    let source = format!("{directory}/{}", names(version).limit);
    let bytes = parse_limit(&root.read(&source).ok()?)?;
    Some(with_usage(root, version, directory, bytes, source))
}

fn with_usage(root: &ProcRoot, version: Version, directory: &str, bytes: u64, source: String) -> Limit {
    let names = names(version);
    let read = |name: &str| root.read(&format!("{directory}/{name}")).ok();
    let usage_bytes = read(names.usage).and_then(|content| text::number(&content));
    let inactive = read("memory.stat").and_then(|stat| find(&stat, names.inactive_file));
    Limit {
        bytes,
        source,
        usage_bytes,
        working_set_bytes: usage_bytes.zip(inactive).map(|(usage, inactive)| usage.saturating_sub(inactive)),
        peak_bytes: read(names.peak).and_then(|content| text::number(&content)),
        throttle_bytes: names.throttle.and_then(read).and_then(|content| parse_limit(&content)),
    }
}

fn find(stat: &[u8], want: &[u8]) -> Option<u64> {
    text::pairs(stat).find(|(name, _)| *name == want).map(|(_, value)| value)
}

/// Before Linux 5.11 a version 1 group with `memory.use_hierarchy` 0 did not count, or limit, the groups below it.
fn counts_descendants(root: &ProcRoot, version: Version, directory: &str) -> bool {
    let flag = || root.read(&format!("{directory}/memory.use_hierarchy")).ok();
    version == Version::V2 || flag().is_none_or(|content| text::number(&content) != Some(0))
}

/// In a container the ancestors are not mounted (a pod's limit above its container's), but version 1 tells the smallest
/// of them in `memory.stat`.
fn of_hidden_ancestor(root: &ProcRoot, group: &Group, seen: &[Limit]) -> Option<Limit> {
    if group.version == Version::V2 {
        return None;
    }
    let directory = group.levels().into_iter().find(|level| root.read(&format!("{level}/memory.stat")).is_ok())?;
    let stat = root.read(&format!("{directory}/memory.stat")).ok()?;
    let bytes = find(&stat, b"hierarchical_memory_limit").filter(|bytes| (1..NO_LIMIT_FROM).contains(bytes))?;
    let source = format!("{directory}/memory.stat (hierarchical_memory_limit)");
    let is_news = seen.iter().all(|limit| bytes < limit.bytes);
    is_news.then(|| with_usage(root, group.version, &directory, bytes, source))
}

const ADDRESS_SPACE: &str = "/proc/self/limits (Max address space)";
const DATA: &str = "/proc/self/limits (Max data size)";

/// The limits that the process itself was given (`setrlimit`); usage is what the kernel compares with each.
pub fn of_process(limits: ProcessLimits, memory: &ProcessMemory) -> Vec<Limit> {
    let rows = [(limits.address_space, ADDRESS_SPACE, memory.virtual_bytes), (limits.data, DATA, memory.data_bytes)];
    let limit = |(bytes, source, usage_bytes): (Option<u64>, &str, Option<u64>)| {
        let bytes = bytes.filter(|bytes| (1..NO_LIMIT_FROM).contains(bytes))?;
        Some(Limit { bytes, source: source.to_owned(), usage_bytes, ..Limit::default() })
    };
    rows.into_iter().filter_map(limit).collect()
}

/// The smallest; of equals the nearest to the process.
pub fn smallest(limits: &[Limit]) -> Option<&Limit> {
    limits.iter().min_by_key(|limit| limit.bytes)
}

/// The layout and directory of the group that gave a limit; `None` for limits of the process itself.
pub fn level_of(limit: &Limit) -> Option<(Version, &str)> {
    let (directory, file) = limit.source.rsplit_once('/')?;
    let version = if file == names(Version::V2).limit { Version::V2 } else { Version::V1 };
    (!matches!(limit.source.as_str(), ADDRESS_SPACE | DATA)).then_some((version, directory))
}

/// Follows the usage of one limit between two full readings, at the cost of one `pread`.
#[derive(Debug)]
pub struct UsageFollower {
    usage: Followed,
    inactive_bytes: Option<u64>,
}

#[derive(Debug)]
enum Followed {
    File(KeptFile),
    AddressSpace,
    Nothing,
}

impl UsageFollower {
    /// Follows `limit`. Page cache that can be dropped is taken as unchanged until the next full reading.
    pub fn new(root: &ProcRoot, limit: &Limit) -> UsageFollower {
        let usage = match (limit.source.as_str(), level_of(limit)) {
            (ADDRESS_SPACE, _) => Followed::AddressSpace,
            (_, Some((version, directory))) => {
                Followed::File(KeptFile::new(root, &format!("{directory}/{}", names(version).usage)))
            }
            _ => Followed::Nothing,
        };
        let inactive = limit.usage_bytes.zip(limit.working_set_bytes);
        UsageFollower { usage, inactive_bytes: inactive.map(|(usage, set)| usage.saturating_sub(set)) }
    }

    /// Brings the figures of the limit up to date. What cannot be read becomes unknown.
    pub fn update(&mut self, limit: &mut Limit, virtual_bytes: Option<u64>) {
        limit.usage_bytes = match &mut self.usage {
            Followed::File(file) => file.number().ok(),
            Followed::AddressSpace => virtual_bytes,
            Followed::Nothing => return,
        };
        let both = limit.usage_bytes.zip(self.inactive_bytes);
        limit.working_set_bytes = both.map(|(usage, inactive)| usage.saturating_sub(inactive));
        limit.peak_bytes = limit.peak_bytes.map(|peak| peak.max(limit.usage_bytes.unwrap_or(0)));
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
