use super::*;
use crate::snapshot::Limit;

/// A version 1 memory hierarchy beside a version 2 without memory files, as a hybrid host has it.
const HYBRID: &[(&str, &str)] = &[
    ("proc/self/statm", "1000 300 10 1 0 50 0\n"),
    ("proc/self/status", "VmSize:\t4000 kB\nVmHWM:\t2000 kB\nVmRSS:\t1200 kB\nRssAnon:\t800 kB\nThreads:\t3\n"),
    ("proc/self/stat", "7 (svc) S 1 7 7 0 -1 0 11 0 2 0 150 50 0 0 20 0 3 0 1000 1 1\n"),
    ("proc/stat", "cpu 1\nbtime 1700000000\n"),
    ("proc/self/limits", "Max open files            1024                 4096                 files\n"),
    ("proc/self/fd/0", ""),
    ("proc/self/fd/1", ""),
    ("proc/meminfo", "MemTotal: 64 kB\nMemAvailable: 32 kB\n"),
    ("proc/self/cgroup", "4:memory:/app\n0::/\n"),
    (
        "proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    ),
    ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "5000000\n"),
    ("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "2000000\n"),
    ("sys/fs/cgroup/memory/app/memory.stat", "total_rss 7\ntotal_inactive_file 500000\n"),
    ("sys/fs/cgroup/memory/app/memory.failcnt", "4\n"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ("sys/fs/cgroup/unified/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n"),
    ("proc/self/smaps_rollup", "0-1 ---p 0 0:0 0 [rollup]\nPss: 700 kB\n"),
];

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(path, content)| write(&dir, path, content));
    dir
}

fn write(dir: &tempfile::TempDir, path: &str, content: &str) {
    let path = dir.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn reader(dir: &tempfile::TempDir) -> ProcessReader {
    ProcessReader::new(ProcRoot::new(dir.path()), Cadence::default())
}

#[test]
fn a_hybrid_host_gives_every_figure() {
    let dir = tree(HYBRID);
    let m = reader(&dir).tick(Instant::now()).clone();
    assert_eq!(m.missing, []);
    assert_eq!(m.rss_bytes, Some(300 * system::page_bytes()));
    assert_eq!((m.peak_rss_bytes, m.anonymous_bytes, m.threads), (Some(2_048_000), Some(819_200), Some(3)));
    assert_eq!((m.minor_faults, m.major_faults, m.open_fds, m.max_fds), (Some(11), Some(2), Some(2), Some(1024)));
    assert_eq!(m.pss_bytes, Some(716_800));
    let ticks = system::ticks_per_second();
    assert_eq!((m.cpu_seconds, m.start_time_s), (Some(200.0 / ticks), Some(1.7e9 + 1000.0 / ticks)));
    let want = Limit {
        bytes: 5_000_000,
        source: "/sys/fs/cgroup/memory/app/memory.limit_in_bytes".to_owned(),
        usage_bytes: Some(2_000_000),
        working_set_bytes: Some(1_500_000),
        ..Limit::default()
    };
    assert_eq!(m.limit, Some(want));
    assert_eq!(m.events.map(|e| e.max), Some(4));
    assert_eq!(
        m.pressure.map(|p| (p.some_avg10, p.source)),
        Some((0.01, "/sys/fs/cgroup/unified/memory.pressure".into()))
    );
}

#[test]
fn between_two_readings_only_the_cheap_figures_move() {
    let dir = tree(HYBRID);
    let (mut reader, start) = (reader(&dir), Instant::now());
    reader.tick(start);
    write(&dir, "proc/self/statm", "2000 900\n");
    write(&dir, "proc/self/status", "Threads:\t9\n");
    write(&dir, "sys/fs/cgroup/memory/app/memory.usage_in_bytes", "2500000\n");
    write(&dir, "proc/self/smaps_rollup", "Pss: 1 kB\n");
    let m = reader.tick(start + Duration::from_secs(1)).clone();
    assert_eq!((m.rss_bytes, m.threads), (Some(900 * system::page_bytes()), Some(3)));
    assert_eq!(m.peak_rss_bytes, m.rss_bytes);
    let limit = m.limit.unwrap();
    assert_eq!((limit.usage_bytes, limit.working_set_bytes), (Some(2_500_000), Some(2_000_000)));
    let m = reader.tick(start + Duration::from_secs(11)).clone();
    assert_eq!((m.threads, m.pss_bytes), (Some(9), Some(716_800)));
    assert_eq!(reader.tick(start + Duration::from_secs(3600)).pss_bytes, Some(1024));
}

#[test]
fn a_raised_limit_is_seen() {
    let dir = tree(HYBRID);
    let (mut reader, start) = (reader(&dir), Instant::now());
    reader.tick(start);
    write(&dir, "sys/fs/cgroup/memory/app/memory.limit_in_bytes", "8000000\n");
    let limit = reader.tick(start + Duration::from_secs(11)).limit.clone();
    assert_eq!(limit.map(|l| l.bytes), Some(8_000_000));
}

#[test]
fn nothing_readable_is_a_list_of_reasons() {
    let dir = tree(&[]);
    let mut reader = reader(&dir);
    let start = Instant::now();
    let m = reader.tick(start).clone();
    let without_reasons = ProcessMemory { missing: Vec::new(), ..m.clone() };
    assert_eq!(without_reasons, ProcessMemory::default());
    assert!(m.missing.iter().any(|e| e.what == "rss_bytes" && e.reason.starts_with("/proc/self/statm: ")), "{m:?}");
    let again = reader.tick(start + Duration::from_secs(1)).missing.len();
    assert_eq!(again, m.missing.len(), "reasons must not pile up");
}

#[test]
fn hostile_content_everywhere_is_no_figure() {
    for hostile in ["", "\u{0}\u{0}\u{0}", "99999999999999999999999999 kB\n", ":::::\n((((\n))))\n", "max max max\n"] {
        let files: Vec<(&str, &str)> = HYBRID.iter().map(|(path, _)| (*path, hostile)).collect();
        let dir = tree(&files);
        let m = reader(&dir).tick(Instant::now()).clone();
        assert_eq!((m.rss_bytes, m.limit, m.start_time_s), (None, None, None), "{hostile:?}");
    }
}

#[test]
fn the_process_that_runs_this_is_seen() {
    let mut reader = ProcessReader::new(ProcRoot::default(), Cadence::default());
    let m = reader.tick(Instant::now()).clone();
    let (rss, peak) = (m.rss_bytes.unwrap(), m.peak_rss_bytes.unwrap());
    assert!(rss > 500_000 && peak >= rss && m.virtual_bytes.unwrap() >= rss, "{m:?}");
    assert!(m.threads.unwrap() >= 1 && m.max_fds.is_some() && m.host_total_bytes.unwrap() > rss);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let start = m.start_time_s.unwrap();
    assert!(start < now + 2.0 && start > now - 7.0 * 86_400.0, "started {start}, now {now}");
}

/// Every parser on 20,000 seeded mutations of what it should read: cut, bytes changed, pieces doubled.
#[test]
fn no_mutation_of_a_kernel_file_makes_a_parser_panic() {
    let mut state = 20_260_117u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below.max(1)
    };
    for round in 0..20_000 {
        let mut text = HYBRID[round % HYBRID.len()].1.as_bytes().to_vec();
        for _ in 0..=random(6) {
            let at = random(text.len());
            match random(4) {
                0 => text.truncate(at),
                1 => text.splice(at..at, b"99999999999999999999".iter().copied()).for_each(drop),
                2 => text.extend_from_within(at..),
                _ => text.iter_mut().skip(at).take(1).for_each(|byte| *byte = random(256) as u8),
            }
        }
        parse_as_everything(&text);
    }
}

fn parse_as_everything(text: &[u8]) {
    let mut memory = ProcessMemory::default();
    memory::apply_status(text, &mut memory);
    memory::statm(text, 4096);
    memory::stat(text);
    memory::boot_time_s(text);
    memory::rollup_pss(text);
    memory::meminfo(text);
    descriptors::process_limits(text);
    limits::parse_limit(text);
    pressure::pressure(text, "f");
    accounting::events_v2(text);
    accounting::events_v1(text, text);
    accounting::stat(text, Version::V1);
    cgroup::groups(text, text).iter().for_each(|group| assert!(group.levels().len() <= 65));
    let mappings = crate::collect::ledger::smaps::read(text, &[1]).unwrap();
    assert!(mappings.anonymous.iter().all(|region| region.start < region.end));
}
