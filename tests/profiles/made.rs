//! Snapshots made by hand.

use std::sync::Arc;

use heapwatch::snapshot::{Estimate, Frame, Mapping, Origin, Scope, Site, Snapshot, Usage};

fn frame(function: &str, file: &str, line: u32, address: u64, inlined: bool) -> Frame {
    let krate = function.split("::").next().map(Into::into);
    let (function, file, line) = (function.into(), Some(file.into()), Some(line));
    Frame { function, file, line, krate, origin: Origin::Application, inlined, address }
}

fn usage(objects: f64, bytes: f64, allocated_objects: f64, allocated_bytes: f64) -> Usage {
    let estimate = |value| Estimate { value, variance: 1.0 };
    let (live_bytes, live_objects) = (estimate(bytes), estimate(objects));
    Usage { live_bytes, live_objects, allocated_bytes, allocated_objects, live_samples: 1, samples: 1 }
}

fn login(bytes: f64) -> Site {
    let stack = [
        frame("alloc::vec::Vec<app::Session>::push", "/rustc/0/library/alloc/src/vec/mod.rs", 1, 0x2000, true),
        frame("app::sessions::Store::insert", "src/sessions.rs", 40, 0x2000, true),
        frame("app::login", "src/main.rs", 7, 0x2000, false),
        Frame { function: "app+0x4000".into(), address: 0x5000, ..Frame::default() },
    ];
    let scope = Scope {
        component: Some("web".into()),
        endpoint: Some("/login/{id}".into()),
        method: Some("POST".into()),
        ..Scope::default()
    };
    let (stack, type_name) = (Arc::from(stack), Some("app::Session".into()));
    Site { id: 1, stack, scope, type_name, usage: usage(10.0, bytes, 10.0, bytes), ..Site::default() }
}

fn parse() -> Site {
    let stack = [frame("app::parse<[u8; 32]>", "src/parse.rs", 3, 0x3000, false)];
    Site { id: 2, stack: Arc::from(stack), usage: usage(10.4, 2000.4, 20.4, 2100.4), ..Site::default() }
}

fn of(sites: Vec<Site>) -> Snapshot {
    let mut snapshot = Snapshot { sites: sites.into_iter().map(Arc::new).collect(), ..Snapshot::default() };
    snapshot.process.service = "checkout".to_owned();
    snapshot.recorder.sample_interval_bytes = 524_288;
    snapshot.taken_at_s = 1_700_000_000.0;
    snapshot.uptime_s = 90.0;
    let (path, build_id) = ("/srv/app".to_owned(), "abcdef01".to_owned());
    snapshot.mappings = [Mapping { start: 0x1000, end: 0x9000, file_offset: 0x200, path, build_id }].into();
    snapshot
}

/// 3001.2 live bytes in 21 objects: two sites, and a little beyond the bound on sites.
pub fn snapshot() -> Snapshot {
    let mut snapshot = of(vec![login(1000.4), parse()]);
    snapshot.sites_beyond_bound = usage(0.4, 0.4, 0.4, 0.4);
    snapshot
}

/// A minute later: one site has 5000 bytes more, the other is gone.
pub fn grown() -> Snapshot {
    let mut snapshot = Snapshot { taken_at_s: 1_700_000_060.0, ..of(vec![login(6000.4)]) };
    snapshot.sites_beyond_bound = usage(0.4, 0.4, 0.4, 0.4);
    snapshot
}

/// One function that grows and one that shrinks.
#[cfg(feature = "flamegraph")]
pub fn two_sides() -> (Snapshot, Snapshot) {
    let site = |id, name: &str, bytes| {
        let stack = [frame(name, "src/main.rs", 1, 0x2000 + id, false)];
        Site { id, stack: Arc::from(stack), usage: usage(1.0, bytes, 1.0, bytes), ..Site::default() }
    };
    let sides = |grows, shrinks| of(vec![site(1, "app::grows", grows), site(2, "app::shrinks", shrinks)]);
    (sides(1000.0, 5000.0), sides(5000.0, 1000.0))
}

/// Many deep stacks over few functions.
pub fn large(sites: u64, depth: u64) -> Snapshot {
    let frame_at = |n: u64| frame(&format!("app::module{}::function{n}", n % 40), "src/lib.rs", n as u32, n + 1, false);
    let site = |id: u64| {
        let leaf = frame(&format!("app::leaf{id}"), "src/leaf.rs", 1, 100_000 + id, false);
        let stack: Vec<Frame> = [leaf].into_iter().chain((1..depth).map(|d| frame_at((id % 50) * 60 + d))).collect();
        let bytes = 1000.0 + id as f64 / 7.0;
        Site { id, stack: stack.into(), usage: usage(1.5, bytes, 2.5, 2.0 * bytes), ..Site::default() }
    };
    of((0..sites).map(site).collect())
}
