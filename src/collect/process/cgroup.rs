//! Which control groups the process is in, and the directories that stand for them and their ancestors.
//!
//! Version 1, version 2 and hybrid hosts (version 1 for memory beside a version 2 without it) are one case here: every
//! hierarchy that could limit memory gives a [`Group`], and who reads it skips the files that are not there.

use super::text;

/// Ancestors beyond this depth are not looked at.
const DEPTH_BOUND: usize = 64;

/// The layout of a control group's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `memory.limit_in_bytes` and its relatives.
    V1,
    /// `memory.max` and its relatives.
    V2,
}

/// The process's place in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Layout of its files.
    pub version: Version,
    /// Directory of the hierarchy's root, as far as this mount namespace sees it.
    pub mount_point: String,
    /// Path below the mount point: empty at the root, else `/a/b`.
    pub below: String,
}

impl Group {
    /// The own directory first, then each ancestor, the mount point last.
    pub fn levels(&self) -> Vec<String> {
        let mut levels = Vec::new();
        let mut below = self.below.as_str();
        while !below.is_empty() && levels.len() < DEPTH_BOUND {
            levels.push(format!("{}{below}", self.mount_point));
            below = below.rfind('/').map_or("", |slash| &below[..slash]);
        }
        levels.push(self.mount_point.clone());
        levels
    }

    /// The own directory.
    pub fn directory(&self) -> String {
        format!("{}{}", self.mount_point, self.below)
    }
}

/// The groups that can limit memory, from `/proc/self/cgroup` and `/proc/self/mountinfo`; version 1 first, as it is the
/// one that counts on a hybrid host.
pub fn groups(cgroup: &[u8], mountinfo: &[u8]) -> Vec<Group> {
    let mounts: Vec<Mount> = text::lines(mountinfo).filter_map(mount).collect();
    let mut groups: Vec<Group> = text::lines(cgroup).filter_map(membership).map(|m| place(m, &mounts)).collect();
    groups.sort_by_key(|group| group.version == Version::V2);
    groups.dedup();
    groups
}

struct Membership {
    version: Version,
    path: String,
}

/// A line `4:memory:/path` (version 1) or `0::/path` (version 2); the path may have colons.
fn membership(line: &[u8]) -> Option<Membership> {
    let line = std::str::from_utf8(line).ok()?;
    let mut parts = line.splitn(3, ':');
    let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let version = match (id, controllers) {
        ("0", "") => Version::V2,
        (_, list) if list.split(',').any(|name| name == "memory") => Version::V1,
        _ => return None,
    };
    path.starts_with('/').then(|| Membership { version, path: path.trim_end_matches('/').to_owned() })
}

struct Mount {
    version: Version,
    root: String,
    point: String,
}

/// A line `35 31 0:32 ROOT POINT options… - TYPE SOURCE SUPER_OPTIONS` of a control group file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let line = std::str::from_utf8(line).ok()?;
    let (head, tail) = line.split_once(" - ")?;
    let mut tail = tail.split(' ');
    let version = match tail.next()? {
        "cgroup2" => Version::V2,
        "cgroup" if tail.nth(1)?.split(',').any(|option| option == "memory") => Version::V1,
        _ => return None,
    };
    let mut head = head.split(' ').skip(3);
    let (root, point) = (unescaped(head.next()?), unescaped(head.next()?));
    Some(Mount { version, root: root.trim_end_matches('/').to_owned(), point })
}

/// mountinfo writes space, tab, newline and backslash as `\040` and so on.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// A container sees its own group mounted as if it were the root: the mount's root is cut off the path. A path outside
/// of what is mounted (another namespace's) leaves the mount point itself, which is the nearest ancestor to be seen.
fn place(member: Membership, mounts: &[Mount]) -> Group {
    let below = |mount: &Mount| {
        let rest = member.path.strip_prefix(&mount.root)?;
        let inside = (rest.is_empty() || rest.starts_with('/')) && !rest.split('/').any(|part| part == "..");
        inside.then(|| rest.to_owned())
    };
    let candidates = || mounts.iter().filter(|mount| mount.version == member.version);
    let found = candidates().find_map(|mount| Some((mount.point.clone(), below(mount)?)));
    let (mount_point, below) = found.unwrap_or_else(|| match candidates().next() {
        Some(mount) => (mount.point.clone(), String::new()),
        None => (usual_mount_point(member.version).to_owned(), below_if_plain(&member.path)),
    });
    Group { version: member.version, mount_point, below }
}

fn below_if_plain(path: &str) -> String {
    if path.split('/').any(|part| part == "..") { String::new() } else { path.to_owned() }
}

fn usual_mount_point(version: Version) -> &'static str {
    match version {
        Version::V1 => "/sys/fs/cgroup/memory",
        Version::V2 => "/sys/fs/cgroup",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_MOUNTS: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:3 - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn only(groups: &[Group], version: Version) -> Vec<String> {
        groups.iter().find(|g| g.version == version).map(Group::levels).unwrap_or_default()
    }

    #[test]
    fn a_hybrid_host_has_both_the_old_one_first() {
        let groups = groups(b"9:name=systemd:/x\n4:memory,hugetlb:/app/one\n2:cpu:/\n0::/\n", HYBRID_MOUNTS);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].version, Version::V1);
        let want = ["/sys/fs/cgroup/memory/app/one", "/sys/fs/cgroup/memory/app", "/sys/fs/cgroup/memory"];
        assert_eq!(groups[0].levels(), want);
        assert_eq!(groups[1].levels(), ["/sys/fs/cgroup/unified"]);
    }

    #[test]
    fn a_container_without_a_namespace_sees_its_group_at_the_mount_point() {
        let mounts = b"35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let groups = groups(b"4:memory:/docker/abc/inner\n", mounts);
        assert_eq!(only(&groups, Version::V1), ["/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"]);
    }

    #[test]
    fn a_path_outside_of_the_mount_leaves_the_mount_point() {
        let mounts = b"35 31 0:32 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(only(&groups(b"0::/../other\n", mounts), Version::V2), ["/sys/fs/cgroup"]);
        let mounts = b"35 31 0:32 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(only(&groups(b"0::/docker/abc\n", mounts), Version::V2), ["/sys/fs/cgroup"]);
    }

    #[test]
    fn colons_and_escapes_are_part_of_paths() {
        let mounts = b"35 31 0:32 / /sys/fs/cg\\040roup rw - cgroup2 cgroup rw\n";
        let groups = groups(b"0::/a:b/c\n", mounts);
        assert_eq!(only(&groups, Version::V2), ["/sys/fs/cg roup/a:b/c", "/sys/fs/cg roup/a:b", "/sys/fs/cg roup"]);
    }

    #[test]
    fn without_a_mount_table_the_usual_places_serve() {
        let groups = groups(b"4:memory:/a\n0::/b\n", b"");
        assert_eq!(only(&groups, Version::V1), ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"]);
        assert_eq!(only(&groups, Version::V2), ["/sys/fs/cgroup/b", "/sys/fs/cgroup"]);
    }

    #[test]
    fn hostile_tables_give_nothing_or_a_bounded_answer() {
        assert_eq!(groups(b"\xff\n:::\n0\n0::\nmemory\n4:memory:relative\n", b"- - -\n1 2 3 - cgroup2\n\xfe"), []);
        let deep = format!("0::{}\n", "/d".repeat(10_000));
        assert_eq!(only(&groups(deep.as_bytes(), b""), Version::V2).len(), DEPTH_BOUND + 1);
    }
}
