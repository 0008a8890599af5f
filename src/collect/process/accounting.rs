//! What a control group has counted: limits hit (`memory.events`) and what its memory is (`memory.stat`).

use super::cgroup::{Group, Version};
use super::root::ProcRoot;
use super::{limits, text};
use crate::snapshot::{CgroupMemory, Limit, MemoryEvents};

/// `memory.events` of version 2.
pub fn events_v2(content: &[u8]) -> MemoryEvents {
    let mut events = MemoryEvents::default();
    for (name, count) in text::pairs(content) {
        match name {
            b"high" => events.high = count,
            b"max" => events.max = count,
            b"oom" => events.oom = count,
            b"oom_kill" => events.oom_kill = count,
            _ => {}
        }
    }
    events
}

/// Version 1 has the same counts in `memory.failcnt` and `memory.oom_control`.
pub fn events_v1(failcnt: &[u8], oom_control: &[u8]) -> Option<MemoryEvents> {
    let kills = text::pairs(oom_control).find(|(name, _)| *name == b"oom_kill").map_or(0, |(_, count)| count);
    Some(MemoryEvents { high: 0, max: text::number(failcnt)?, oom: kills, oom_kill: kills })
}

/// How often limits were hit is counted by the group that has the limit, which may be an ancestor; kills are counted by
/// the group of the victim, which is the own.
pub fn events(root: &ProcRoot, groups: &[Group], limit: Option<&Limit>) -> Option<MemoryEvents> {
    let own = groups.iter().find_map(|group| events_at(root, group.version, &group.directory()));
    let level = limit.and_then(limits::level_of).and_then(|(version, directory)| events_at(root, version, directory));
    match (own, level) {
        (Some(own), Some(level)) => Some(MemoryEvents { oom_kill: own.oom_kill, ..level }),
        (own, level) => own.or(level),
    }
}

fn events_at(root: &ProcRoot, version: Version, directory: &str) -> Option<MemoryEvents> {
    let read = |name: &str| root.read(&format!("{directory}/{name}")).ok();
    match version {
        Version::V1 => events_v1(&read("memory.failcnt")?, &read("memory.oom_control").unwrap_or_default()),
        Version::V2 => Some(events_v2(&read("memory.events")?)),
    }
}

/// `memory.stat`. Version 1 has the figures with descendants under `total_`, and other names for two of them.
pub fn stat(content: &[u8], version: Version) -> CgroupMemory {
    let mut memory = CgroupMemory::default();
    for (name, value) in text::pairs(content) {
        let name = match version {
            Version::V1 => match name.strip_prefix(b"total_") {
                Some(name) => name,
                None => continue,
            },
            Version::V2 => name,
        };
        if let Some(field) = field(&mut memory, name) {
            *field = Some(value);
        }
    }
    memory
}

fn field<'a>(memory: &'a mut CgroupMemory, name: &[u8]) -> Option<&'a mut Option<u64>> {
    Some(match name {
        b"anon" | b"rss" => &mut memory.anonymous_bytes,
        b"file" | b"cache" => &mut memory.file_bytes,
        b"inactive_file" => &mut memory.inactive_file_bytes,
        b"shmem" => &mut memory.shared_bytes,
        b"kernel" => &mut memory.kernel_bytes,
        b"slab" => &mut memory.slab_bytes,
        b"sock" => &mut memory.socket_bytes,
        b"workingset_refault_anon" => &mut memory.refaulted_anonymous,
        b"workingset_refault_file" => &mut memory.refaulted_file,
        b"pgmajfault" => &mut memory.major_faults,
        _ => return None,
    })
}

/// The figures of the first group that has any.
pub fn memory(root: &ProcRoot, groups: &[Group]) -> Option<CgroupMemory> {
    groups.iter().find_map(|group| {
        let content = root.read(&format!("{}/memory.stat", group.directory())).ok()?;
        Some(stat(&content, group.version))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_both_versions() {
        let v2 = events_v2(b"low 9\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n");
        assert_eq!(v2, MemoryEvents { high: 1, max: 2, oom: 3, oom_kill: 4 });
        let v1 = events_v1(b"7\n", b"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        assert_eq!(v1, Some(MemoryEvents { high: 0, max: 7, oom: 2, oom_kill: 2 }));
        assert_eq!(events_v1(b"", b""), None);
    }

    #[test]
    fn hits_are_counted_where_the_limit_is_and_kills_where_the_process_is() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("cg/pod/app")).unwrap();
        std::fs::write(dir.path().join("cg/pod/app/memory.events"), "max 0\noom 0\noom_kill 1\n").unwrap();
        std::fs::write(dir.path().join("cg/pod/memory.events"), "high 9\nmax 5\noom 3\noom_kill 2\n").unwrap();
        let group = Group { version: Version::V2, mount_point: "/cg".to_owned(), below: "/pod/app".to_owned() };
        let limit = Limit { source: "/cg/pod/memory.max".to_owned(), ..Limit::default() };
        let counts = |limit| events(&ProcRoot::new(dir.path()), std::slice::from_ref(&group), limit);
        assert_eq!(counts(Some(&limit)), Some(MemoryEvents { high: 9, max: 5, oom: 3, oom_kill: 1 }));
        assert_eq!(counts(None), Some(MemoryEvents { high: 0, max: 0, oom: 0, oom_kill: 1 }));
    }

    #[test]
    fn version_1_takes_the_figures_with_descendants() {
        let v1 = stat(b"cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\ntotal_inactive_file 3\n", Version::V1);
        let want = CgroupMemory {
            anonymous_bytes: Some(20),
            file_bytes: Some(10),
            inactive_file_bytes: Some(3),
            ..CgroupMemory::default()
        };
        assert_eq!(v1, want);
        let v2 = stat(b"anon 5\nfile 6\nkernel 7\nworkingset_refault_anon 8\n", Version::V2);
        assert_eq!((v2.anonymous_bytes, v2.kernel_bytes, v2.refaulted_anonymous), (Some(5), Some(7), Some(8)));
    }
}
