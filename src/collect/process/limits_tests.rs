use super::*;

struct Tree {
    dir: tempfile::TempDir,
    root: ProcRoot,
}

fn tree(files: &[(&str, &str)]) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let root = ProcRoot::new(dir.path());
    let tree = Tree { dir, root };
    files.iter().for_each(|(path, content)| tree.write(path, content));
    tree
}

impl Tree {
    fn write(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn group(version: Version, below: &str) -> Group {
    Group { version, mount_point: "/cg".to_owned(), below: below.to_owned() }
}

#[test]
fn the_smallest_of_all_ancestors_with_usage_of_its_level() {
    let t = tree(&[
        ("cg/pod/app/memory.max", "max\n"),
        ("cg/pod/app/memory.current", "50\n"),
        ("cg/pod/memory.max", "1000\n"),
        ("cg/pod/memory.current", "300\n"),
        ("cg/pod/memory.peak", "700\n"),
        ("cg/pod/memory.high", "900\n"),
        ("cg/pod/memory.stat", "anon 100\ninactive_file 120\n"),
        ("cg/memory.max", "2000\n"),
    ]);
    let limits = of_group(&t.root, &group(Version::V2, "/pod/app"));
    assert_eq!(limits.iter().map(|l| l.bytes).collect::<Vec<_>>(), [1000, 2000]);
    let want = Limit {
        bytes: 1000,
        source: "/cg/pod/memory.max".to_owned(),
        usage_bytes: Some(300),
        working_set_bytes: Some(180),
        peak_bytes: Some(700),
        throttle_bytes: Some(900),
    };
    assert_eq!(smallest(&limits), Some(&want));
}

#[test]
fn no_limit_in_any_notation_is_none() {
    for none in ["max", "9223372036854771712", "9223372036854710272", "9223372036854775807", "0", "-1", "", "1e9"] {
        assert_eq!(parse_limit(none.as_bytes()), None, "{none}");
    }
    assert_eq!(parse_limit(b"4294967296\n"), Some(1 << 32));
}

#[test]
fn version_1_reads_its_own_names_and_the_hidden_ancestor() {
    let t = tree(&[
        ("cg/memory.limit_in_bytes", "800\n"),
        ("cg/memory.usage_in_bytes", "500\n"),
        ("cg/memory.max_usage_in_bytes", "600\n"),
        ("cg/memory.stat", "inactive_file 1\ntotal_inactive_file 100\nhierarchical_memory_limit 700\n"),
    ]);
    let limits = of_group(&t.root, &group(Version::V1, ""));
    let best = smallest(&limits).unwrap();
    assert_eq!((best.bytes, best.usage_bytes, best.working_set_bytes), (700, Some(500), Some(400)));
    assert_eq!(best.source, "/cg/memory.stat (hierarchical_memory_limit)");
    t.write("cg/memory.stat", "hierarchical_memory_limit 800\n");
    assert_eq!(of_group(&t.root, &group(Version::V1, "")).len(), 1);
}

#[test]
fn an_ancestor_that_does_not_count_its_children_does_not_limit_them() {
    let t = tree(&[
        ("cg/a/b/memory.limit_in_bytes", "900\n"),
        ("cg/a/memory.limit_in_bytes", "100\n"),
        ("cg/a/memory.use_hierarchy", "0\n"),
    ]);
    let bytes = |t: &Tree| smallest(&of_group(&t.root, &group(Version::V1, "/a/b"))).map(|l| l.bytes);
    assert_eq!(bytes(&t), Some(900));
    t.write("cg/a/memory.use_hierarchy", "1\n");
    assert_eq!(bytes(&t), Some(100));
}

#[test]
fn process_limits_compare_with_address_space() {
    let memory = ProcessMemory { virtual_bytes: Some(10), data_bytes: Some(4), ..ProcessMemory::default() };
    let limits = of_process(ProcessLimits { address_space: Some(100), data: Some(50), open_files: None }, &memory);
    let got: Vec<_> = limits.iter().map(|l| (l.bytes, l.usage_bytes)).collect();
    assert_eq!(got, [(100, Some(10)), (50, Some(4))]);
    assert!(limits[0].source.contains("Max address space"));
}

#[test]
fn the_follower_keeps_to_the_level_of_the_limit() {
    let t = tree(&[
        ("cg/memory.max", "1000\n"),
        ("cg/memory.current", "300\n"),
        ("cg/memory.peak", "310\n"),
        ("cg/memory.stat", "inactive_file 120\n"),
    ]);
    let mut limit = of_group(&t.root, &group(Version::V2, "")).remove(0);
    let mut follower = UsageFollower::new(&t.root, &limit);
    t.write("cg/memory.current", "400\n");
    follower.update(&mut limit, None);
    assert_eq!((limit.usage_bytes, limit.working_set_bytes, limit.peak_bytes), (Some(400), Some(280), Some(400)));
    t.write("cg/memory.current", "garbage");
    follower.update(&mut limit, None);
    assert_eq!((limit.usage_bytes, limit.working_set_bytes), (None, None));
}

#[test]
fn the_follower_of_an_address_space_limit_uses_the_address_space() {
    let t = tree(&[]);
    let memory = ProcessMemory { virtual_bytes: Some(10), ..ProcessMemory::default() };
    let limits = ProcessLimits { address_space: Some(100), ..ProcessLimits::default() };
    let mut limit = of_process(limits, &memory).remove(0);
    UsageFollower::new(&t.root, &limit).update(&mut limit, Some(77));
    assert_eq!(limit.usage_bytes, Some(77));
}
