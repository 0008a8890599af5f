//! Bad days: each in a process of its own, which this program starts with the day's name and gives a minute.
//!
//! In each the service must go on: no hang, no crash, no false leak, what is lost is counted.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use heapwatch::record::thread::exact_totals;
use heapwatch::record::{control, map};
use heapwatch::{Builder, HeapWatch, Watch};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

const DAYS: [(&str, fn()); 17] = [
    ("contents_survive_every_call", contents_survive_every_call),
    ("zeroed_memory_stays_untouched", zeroed_memory_stays_untouched),
    ("freed_elsewhere_is_freed", freed_elsewhere_is_freed),
    ("fork_of_a_busy_process", fork_of_a_busy_process),
    ("destructors_at_thread_exit", destructors_at_thread_exit),
    ("many_threads_at_once", many_threads_at_once),
    ("ring_full", ring_full),
    ("live_table_full", live_table_full),
    ("recorder_memory_refused", recorder_memory_refused),
    ("a_million_distinct_stacks", a_million_distinct_stacks),
    ("panics_that_allocate", panics_that_allocate),
    ("exit_while_running", exit_while_running),
    ("reports_that_cannot_be_written", reports_that_cannot_be_written),
    ("interval_changes_and_pauses", interval_changes_and_pauses),
    ("memory_refused_to_the_service", memory_refused_to_the_service),
    ("stopped_and_started_again", stopped_and_started_again),
    ("estimates_meet_the_exact_counters", estimates_meet_the_exact_counters),
];

fn main() -> ExitCode {
    if let Some(day) = std::env::var_os("HEAPWATCH_BAD_DAY") {
        let (_, live) = DAYS.iter().find(|(name, _)| *name == day).expect("a day of the list");
        live();
        return ExitCode::SUCCESS;
    }
    let only = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let days = DAYS.iter().filter(|(name, _)| only.as_ref().is_none_or(|o| name.contains(o.as_str())));
    let (mut passed, mut failed) = (0, 0);
    for (name, _) in days {
        let outcome = survive(name);
        println!("test {name} ... {}", outcome.as_ref().map_or_else(String::as_str, |()| "ok"));
        if outcome.is_ok() { passed += 1 } else { failed += 1 }
    }
    println!("\n{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn survive(day: &str) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(program)
        .env("HEAPWATCH_BAD_DAY", day)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| format!("FAILED: {e}"))?;
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("FAILED: {status}")),
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("FAILED: hangs".into());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn watch(interval: u64) -> Builder {
    Watch::builder().service("bad day").sample_interval_bytes(interval).tick(Duration::from_millis(50))
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// Random calls with random alignments; every block's bytes are what was written, however it was sampled, moved or padded.
fn contents_survive_every_call() {
    let watch = watch(256).start().unwrap();
    let before = exact_totals();
    let live_before = before.allocated_bytes - before.freed_bytes;
    let mut dice = Dice(11);
    let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::with_capacity(2_000);
    let mut expected = blocks.capacity() * size_of::<(*mut u8, Layout, u8)>();
    for step in 0..400_000u64 {
        let size = 1 + dice.below(if step % 97 == 0 { 300_000 } else { 600 }) as usize;
        let align = 1usize << if step % 31 == 0 { dice.below(15) } else { dice.below(5) };
        let layout = Layout::from_size_align(size, align).unwrap();
        let mark = step as u8;
        match dice.below(4) {
            0 if !blocks.is_empty() => {
                let at = dice.below(blocks.len() as u64) as usize;
                let (p, layout, mark) = blocks.swap_remove(at);
                check(p, layout.size(), mark);
                expected -= layout.size();
                // SAFETY: the block and its layout, once.
                unsafe { HEAP.dealloc(p, layout) };
            }
            1 if !blocks.is_empty() => {
                let at = dice.below(blocks.len() as u64) as usize;
                let (p, old, old_mark) = blocks[at];
                // SAFETY: the block and its layout; the new size is not 0.
                let q = unsafe { HEAP.realloc(p, old, size) };
                assert!(!q.is_null());
                check(q, size.min(old.size()), old_mark);
                let new = Layout::from_size_align(size, old.align()).unwrap();
                assert_eq!(q.addr() % new.align(), 0);
                fill(q, size, mark);
                expected = expected + size - old.size();
                blocks[at] = (q, new, mark);
            }
            2 if blocks.len() < 2_000 => {
                // SAFETY: the size is not 0.
                let p = unsafe { HEAP.alloc_zeroed(layout) };
                check(p, size, 0);
                fill(p, size, mark);
                expected += size;
                blocks.push((p, layout, mark));
            }
            _ if blocks.len() < 2_000 => {
                // SAFETY: the size is not 0.
                let p = unsafe { HEAP.alloc(layout) };
                assert_eq!(p.addr() % align, 0);
                fill(p, size, mark);
                expected += size;
                blocks.push((p, layout, mark));
            }
            _ => (),
        }
    }
    let report = watch.report();
    assert!(report.recorder.samples > 10_000, "{}", report.recorder.samples);
    for (p, layout, mark) in blocks.drain(..) {
        check(p, layout.size(), mark);
        expected -= layout.size();
        // SAFETY: the block and its layout, once.
        unsafe { HEAP.dealloc(p, layout) };
    }
    drop(blocks);
    drop(report);
    watch.stop();
    let _ = expected;
    let after = exact_totals();
    let live_after = after.allocated_bytes - after.freed_bytes;
    // What std, the watch and its threads keep is some kilobytes; the blocks were hundreds.
    assert!(live_after.abs_diff(live_before) < 400_000, "{live_before} → {live_after}");
}

fn fill(p: *mut u8, size: usize, mark: u8) {
    // SAFETY: the block has `size` bytes.
    unsafe { p.write_bytes(mark, size) };
}

fn check(p: *mut u8, size: usize, mark: u8) {
    // SAFETY: the block has `size` bytes, all written.
    let bytes = unsafe { std::slice::from_raw_parts(p, size) };
    assert!(bytes.iter().all(|b| *b == mark), "contents changed");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn zeroed_memory_stays_untouched() {
    let _watch = watch(512 << 10).start().unwrap();
    let before = resident_bytes();
    let v = black_box(vec![0u8; 1 << 30]);
    let after = resident_bytes();
    assert!(after < before + (8 << 20), "{before} → {after}");
    assert_eq!(v[1 << 29], 0);
    let mut grown: Vec<u8> = Vec::new();
    for i in 0..200_000_000u32 {
        grown.push(i as u8);
    }
    assert!(grown.iter().step_by(4097).enumerate().all(|(i, b)| *b == (i * 4097) as u8));
}

fn freed_elsewhere_is_freed() {
    let watch = watch(64).start().unwrap();
    let (send, receive) = mpsc::sync_channel::<Vec<u8>>(1000);
    let freer = std::thread::spawn(move || receive.into_iter().map(|v| v.len()).sum::<usize>());
    for i in 0..200_000usize {
        send.send(vec![1; 100 + i % 400]).unwrap();
    }
    drop(send);
    freer.join().unwrap();
    let report = watch.report();
    let r = &report.recorder;
    let mine: f64 = report.sites.iter().filter(|s| in_function(s, "freed_elsewhere")).map(|s| s.live_bytes).sum();
    assert!(mine < 50_000.0, "{mine} bytes seem to live\n{}", report.to_text());
    assert_eq!(r.samples, r.live_samples + r.freed_samples + r.dropped.thinned, "every sample is accounted for");
    assert!(!report.verdict.leak, "{}", report.verdict.summary);
}

fn in_function(site: &heapwatch::export::report::SiteLine, name: &str) -> bool {
    site.stack.iter().any(|f| f.function.contains(name))
}

fn fork_of_a_busy_process() {
    let watch = watch(1024).start().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut kept: Vec<Vec<u8>> = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    kept.push(vec![7; 300]);
                    if kept.len() > 500 {
                        kept.clear();
                    }
                }
            })
        })
        .collect();
    let inherited: Vec<Vec<u8>> = (0..2_000).map(|i| vec![i as u8; 700]).collect();
    for round in 0..20 {
        // SAFETY: the child only allocates, frees, starts a watch of its own and leaves by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            drop(inherited);
            let mut kept: HashMap<u64, Vec<u8>> = HashMap::new();
            for i in 0..20_000u64 {
                kept.insert(i % 1000, vec![1; 200]);
            }
            if round % 5 == 0 {
                let own = Watch::builder().service("child").sample_interval_bytes(512).start();
                let report = own.map(|w| {
                    let mut kept: Vec<Vec<u8>> = Vec::new();
                    for _ in 0..20 {
                        kept.extend((0..250).map(|_| vec![1; 300]));
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    let report = w.report();
                    drop(kept);
                    report
                });
                let good = report.is_ok_and(|r| r.recorder.live_samples > 100 && r.process.pid == std::process::id());
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(if good { 0 } else { 3 }) };
            }
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "round {round}: the child did not end well");
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|t| t.join().unwrap());
    let report = watch.stop();
    assert!(report.recorder.live_samples > 0 && !report.verdict.leak);
}

thread_local! {
    static LATE: std::cell::RefCell<Vec<Late>> = const { std::cell::RefCell::new(Vec::new()) };
}

struct Late(Vec<u8>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.extend_from_slice(&[1; 3000]);
        black_box(Box::new([0u8; 500]));
    }
}

fn destructors_at_thread_exit() {
    let watch = watch(512).start().unwrap();
    for _ in 0..3_000 {
        let t = std::thread::spawn(|| LATE.with(|l| l.borrow_mut().push(Late(vec![1; 100]))));
        t.join().unwrap();
    }
    let report = watch.report();
    let r = &report.recorder;
    assert_eq!(r.samples, r.live_samples + r.freed_samples + r.dropped.thinned);
    assert!(!report.verdict.leak, "{}", report.verdict.summary);
    assert!(r.own_bytes < 64 << 20, "{}", r.own_bytes);
}

fn many_threads_at_once() {
    const THREADS: usize = 10_000;
    let watch = watch(4096).start().unwrap();
    let go = Arc::new(Barrier::new(2));
    let started = Arc::new(AtomicU64::new(0));
    let leave = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..THREADS)
        .map_while(|_| {
            let (started, leave) = (started.clone(), leave.clone());
            let body = move || {
                let held = black_box(vec![1u8; 3_000]);
                started.fetch_add(1, Ordering::Relaxed);
                while !leave.load(Ordering::Relaxed) {
                    std::thread::park_timeout(Duration::from_millis(200));
                }
                drop(held);
            };
            // A machine may allow fewer threads; then so many.
            std::thread::Builder::new().stack_size(64 << 10).spawn(body).ok()
        })
        .collect();
    assert!(threads.len() > 500, "only {} threads could be started", threads.len());
    while started.load(Ordering::Relaxed) < threads.len() as u64 {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(go);
    let report = watch.report();
    assert!(report.process.heap_live_bytes >= 3_000 * threads.len() as u64);
    leave.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert!(!watch.stop().verdict.leak);
}

/// Samples with nobody who drains: rings fill, samples are lost and counted, blocks are plain.
fn ring_full() {
    control::set_interval(64);
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for i in 0..50_000usize {
        blocks.push(vec![i as u8; 100]);
    }
    assert!(blocks.iter().enumerate().all(|(i, b)| b.iter().all(|x| *x == i as u8)));
    control::set_interval(control::OFF);
    let watch = watch(1 << 20).start().unwrap();
    let report = watch.report();
    assert!(report.recorder.dropped.ring_full > 1_000, "{:?}", report.recorder.dropped);
    assert!(report.recorder.dropped_bytes > 0);
    drop(blocks);
    assert!(!watch.stop().verdict.leak);
}

/// More live samples than the bound: thinned, and the estimate is still right.
fn live_table_full() {
    let watch = watch(64).max_live_samples(2_000).start().unwrap();
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for i in 0..60_000usize {
        blocks.push(keep_one(i));
        if i % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let truth: usize = blocks.iter().map(Vec::len).sum();
    let report = watch.report();
    let r = &report.recorder;
    assert!(r.thinnings >= 2 && r.dropped.thinned > 1_000, "{r:?}");
    assert_eq!(r.samples, r.live_samples + r.freed_samples + r.dropped.thinned);
    let of_mine = report.sites.iter().filter(|s| in_function(s, "keep_one"));
    let (live, error) = of_mine.fold((0.0, 0.0), |(l, e), s| (l + s.live_bytes, e + s.live_bytes_error));
    let off = (live - truth as f64).abs();
    assert!(off <= 2.0 * error, "truth {truth}, estimate {live} ± {error}, {r:?}");
    // Thinned blocks are freed like any other.
    drop(blocks);
    let after = watch.report();
    let left: f64 = after.sites.iter().filter(|s| in_function(s, "keep_one")).map(|s| s.live_bytes).sum();
    assert!(left < 0.02 * truth as f64, "{left}");
}

#[inline(never)]
fn keep_one(i: usize) -> Vec<u8> {
    vec![i as u8; 200 + i % 100]
}

fn recorder_memory_refused() {
    let watch = watch(512).start().unwrap();
    map::set_bound(map::mapped_bytes());
    let threads: Vec<_> = (0..64)
        .map(|n| {
            std::thread::spawn(move || {
                let blocks: Vec<Vec<u8>> = (0..2_000).map(|i| vec![(i + n) as u8; 400]).collect();
                assert!(blocks.iter().enumerate().all(|(i, b)| b.iter().all(|x| *x == (i + n) as u8)));
                blocks
            })
        })
        .collect();
    let large: Vec<Vec<u8>> = (0..64).map(|_| vec![3; 20 << 20]).collect();
    let kept: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    let report = watch.report();
    let d = &report.recorder.dropped;
    assert!(d.page_map + d.no_thread_block + d.table_full > 0, "{d:?}");
    drop((large, kept));
    assert!(!watch.stop().verdict.leak);
}

#[inline(never)]
fn left(path: u32, depth: u32) -> Vec<u8> {
    let v = descend(path, depth);
    black_box(depth);
    v
}

#[inline(never)]
fn right(path: u32, depth: u32) -> Vec<u8> {
    let v = descend(path, depth);
    black_box(path);
    v
}

fn descend(path: u32, depth: u32) -> Vec<u8> {
    match depth {
        0 => vec![1; 64],
        _ if path >> (depth - 1) & 1 == 0 => left(path, depth - 1),
        _ => right(path, depth - 1),
    }
}

fn a_million_distinct_stacks() {
    let watch = watch(64).max_stacks(2_000).start().unwrap();
    let mut some = Vec::new();
    for path in 0..1_000_000u32 {
        let v = descend(path, 20);
        if path < 1_000 {
            some.push(v);
        }
    }
    let report = watch.report();
    assert!(report.recorder.own_bytes < 128 << 20, "{}", report.recorder.own_bytes);
    assert!(!report.verdict.leak, "{}", report.verdict.summary);
    drop(some);
    watch.stop();
}

fn panics_that_allocate() {
    let watch = watch(128).start().unwrap();
    std::panic::set_hook(Box::new(|info| {
        let text: Vec<String> = (0..200).map(|i| format!("{i}: {info}")).collect();
        black_box(text);
    }));
    for _ in 0..200 {
        let t = std::thread::spawn(|| {
            let _held = vec![1u8; 5_000];
            panic!("on purpose");
        });
        assert!(t.join().is_err());
    }
    let report = watch.stop();
    assert!(report.recorder.samples > 100 && !report.verdict.leak);
}

fn exit_while_running() {
    let _watch = watch(64).start().unwrap();
    for _ in 0..8 {
        std::thread::spawn(|| {
            loop {
                black_box(vec![1u8; 1000]);
            }
        });
    }
    std::thread::sleep(Duration::from_millis(300));
    std::process::exit(0);
}

fn reports_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let limited = dir.path().join("reports");
    // SAFETY: ignoring a signal and lowering this process's own limit.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let limit = libc::rlimit { rlim_cur: 64, rlim_max: libc::RLIM_INFINITY };
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
    let watch = watch(4096).dump_reports(&limited, Duration::from_secs(1), 3).start().unwrap();
    let end = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < end {
        black_box(vec![1u8; 1000]);
    }
    assert!(watch.report().recorder.samples > 0);
    watch.stop();
    let left: Vec<_> = std::fs::read_dir(&limited).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "half-written: {left:?}");
}

fn interval_changes_and_pauses() {
    let watch = watch(64).start().unwrap();
    let intervals = [64, 4096, 512, 100_000, 256];
    let mut blocks = Vec::new();
    for i in 0..100_000usize {
        if i % 5_000 == 0 {
            watch.set_sample_interval_bytes(intervals[i / 5_000 % intervals.len()]).unwrap();
            std::thread::sleep(Duration::from_millis(150));
        }
        blocks.push(keep_one(i));
    }
    let truth: usize = blocks.iter().map(Vec::len).sum();
    let report = watch.report();
    let of_mine = report.sites.iter().filter(|s| in_function(s, "keep_one"));
    let (live, error) = of_mine.fold((0.0, 0.0), |(l, e), s| (l + s.live_bytes, e + s.live_bytes_error));
    // 2 · 1.96 standard deviations: a false alarm in some ten thousand runs.
    assert!((live - truth as f64).abs() < 2.0 * error, "truth {truth}, estimate {live} ± {error}");
    watch.pause();
    std::thread::sleep(Duration::from_millis(50));
    black_box(vec![0u8; 200_000]);
    let before = watch.snapshot().recorder.samples;
    for _ in 0..10_000 {
        black_box(vec![1u8; 1_000]);
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(watch.snapshot().recorder.samples <= before + 50, "a paused watch samples");
    watch.resume();
    for _ in 0..10_000 {
        black_box(vec![1u8; 1_000]);
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(watch.snapshot().recorder.samples > before + 100);
    assert!(watch.set_sample_interval_bytes(0).unwrap_err().is_config());
}

fn memory_refused_to_the_service() {
    let watch = watch(4096).start().unwrap();
    // SAFETY: lowers this process's own limit.
    unsafe {
        let limit = libc::rlimit { rlim_cur: 3 << 30, rlim_max: libc::RLIM_INFINITY };
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
    }
    let before = exact_totals();
    let mut refused = 0;
    for _ in 0..100 {
        let mut v: Vec<u8> = Vec::new();
        refused += u32::from(v.try_reserve_exact(8 << 30).is_err());
        v.try_reserve_exact(1000).unwrap();
        refused += u32::from(v.try_reserve_exact(9 << 30).is_err());
    }
    assert_eq!(refused, 200);
    let after = exact_totals();
    let live = |t: &heapwatch::snapshot::Totals| t.allocated_bytes as i64 - t.freed_bytes as i64;
    assert!((live(&after) - live(&before)).abs() < 2_000_000, "{} → {}", live(&before), live(&after));
    assert!(!watch.stop().verdict.leak);
}

fn stopped_and_started_again() {
    assert!(Watch::builder().sample_interval_bytes(0).start().is_err());
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for round in 0..20 {
        let watch = watch(512).start().unwrap();
        assert!(Watch::builder().start().is_err_and(|e| e.is_state()), "two at once");
        kept.extend((0..500).map(|_| vec![1; 400]));
        let report = watch.stop();
        assert!(report.recorder.live_samples > 50, "round {round}: {}", report.recorder.live_samples);
        // What an earlier watch has sampled is freed under a later one.
        kept.truncate(250);
    }
}

/// Everything the exact counters say is live is what the estimate says, within its own error.
fn estimates_meet_the_exact_counters() {
    let watch = watch(2048).start().unwrap();
    let before = exact_totals();
    let mut dice = Dice(3);
    let blocks: Vec<Vec<u8>> = (0..50_000).map(|_| vec![1; 1 + dice.below(900) as usize]).collect();
    let snapshot = watch.snapshot();
    let exact = snapshot.totals.live_bytes() as f64 - (before.allocated_bytes - before.freed_bytes) as f64;
    let sum: f64 = snapshot.sites.iter().map(|s| s.usage.live_bytes.value).sum();
    let variance: f64 = snapshot.sites.iter().map(|s| s.usage.live_bytes.variance).sum();
    // The recorder's own heap is in the exact counters and not among the samples.
    let own = snapshot.recorder.own_bytes as f64;
    let off = (sum - exact).abs();
    assert!(off < 4.0 * variance.sqrt() + own, "exact {exact}, estimate {sum} ± {}, own {own}", variance.sqrt());
    drop(blocks);
}
