//! Folds a stack into a call site: which frame asked for the memory, what it holds, and an id that outlives deploys.
//!
//! The id is FNV-1a, 64 bits, over the names of the frames that are neither standard library, allocator nor scheduler, leaf first, and
//! of the element type; each name is followed by a zero byte. Lines, addresses and files are left out, numbers of closures and impls
//! too, and repeated recursion counts once: a deploy that keeps the names keeps the id. The type is in it because one
//! function often fills a leaking map and a healthy buffer.

use std::sync::Arc;

use crate::collect::symbols::types::type_name;
use crate::snapshot::{Frame, Origin};

/// A stack seen as a call site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// Identifies the site, across restarts and deploys.
    pub id: u64,
    /// Index of the frame that asked for the memory: the first that is neither allocator nor standard library.
    pub allocating_frame: Option<usize>,
    /// Index of the first frame of the application's own code.
    pub application_frame: Option<usize>,
    /// Element type, where the debug information tells it.
    pub type_name: Option<Arc<str>>,
}

/// Longest cycle of calls that is recognised as recursion.
const MAX_CYCLE: usize = 4;

/// Where schedulers poll tasks and run jobs: the path says how work is run, not whose it is.
const SCHEDULERS: [&str; 12] = [
    "tokio::runtime",
    "tokio::task",
    "tokio::park",
    "tokio::loom",
    "rayon_core",
    "async_executor",
    "async_task",
    "async_io",
    "blocking",
    "futures_executor",
    "actix_rt",
    "threadpool",
];

/// The interface between compiled code and the global allocator.
const ALLOCATOR_ENTRY: [&str; 4] = ["__rust_alloc", "__rust_realloc", "__rg_", "__rdl_"];

/// Modules of the standard library that call the allocator and no code of others.
const ALLOCATOR_CALLERS: [&str; 2] = ["alloc::raw_vec::", "alloc::alloc::"];

impl Folded {
    /// Tells call sites of one process apart: the id, and the line at which the code asked for memory. Of two pushes in one
    /// function one may leak and the other not.
    pub fn key(&self, frames: &[Frame]) -> u64 {
        let place = self.application_frame.or(self.allocating_frame).and_then(|i| frames.get(i));
        let line = place.and_then(|frame| frame.line).unwrap_or(0);
        fnv(self.id, &line.to_string()) | 1
    }
}

/// The frames without those of the hook at their front: what called the allocator comes first.
pub fn without_hook(frames: &[Frame]) -> &[Frame] {
    let ours = frames.iter().take_while(|frame| frame.origin == Origin::Allocator).count();
    frames.get(after_allocator_entry(frames).max(ours)..).filter(|rest| !rest.is_empty()).unwrap_or(frames)
}

/// A folded stack's frames without the allocator's and the growing buffer's own at their front, for people: every stack
/// begins with them, and no one's code is among them. The indices move along.
pub fn without_buffers(frames: &[Frame], folded: &mut Folded) -> Arc<[Frame]> {
    let internal = |frame: &&Frame| {
        let name = frame.function.trim_start_matches('<');
        frame.origin == Origin::Std && ALLOCATOR_CALLERS.iter().any(|module| name.starts_with(module))
    };
    let front = frames.iter().take_while(internal).count();
    let front = if front < frames.len() { front } else { 0 };
    for index in [&mut folded.allocating_frame, &mut folded.application_frame] {
        *index = index.map(|i| i.saturating_sub(front));
    }
    frames.get(front..).unwrap_or(frames).into()
}

/// Folds frames, leaf first.
pub fn fold(frames: &[Frame]) -> Folded {
    let begin = after_allocator_entry(frames);
    let outside = |wanted: fn(Origin) -> bool| {
        frames.iter().enumerate().skip(begin).find(|(_, frame)| wanted(frame.origin)).map(|(index, _)| index)
    };
    let called = frames.get(begin..).unwrap_or_default();
    let type_name = type_name(called);
    Folded {
        id: id(called, type_name.as_deref()),
        allocating_frame: outside(|origin| !is_library(origin)),
        application_frame: outside(|origin| origin == Origin::Application),
        type_name,
    }
}

/// Everything up to the allocator's entry is the allocator's own code, whoever wrote it: a service may bring its own. Where the
/// entry was inlined away, the code that calls it tells: growing a buffer calls nothing else that is not the library's.
fn after_allocator_entry(frames: &[Frame]) -> usize {
    let is_entry = |frame: &Frame| {
        let name = frame.function.rsplit("::").next().unwrap_or_default();
        ALLOCATOR_ENTRY.iter().any(|entry| name.starts_with(entry))
    };
    let is_caller = |frame: &Frame| ALLOCATOR_CALLERS.iter().any(|module| frame.function.starts_with(module));
    let Some(first) = frames.iter().position(|frame| is_entry(frame) || is_caller(frame)) else { return 0 };
    first + frames.iter().skip(first).take_while(|frame| is_entry(frame)).count()
}

fn is_library(origin: Origin) -> bool {
    matches!(origin, Origin::Std | Origin::Allocator)
}

fn is_scheduler(frame: &Frame) -> bool {
    let path = frame.function.trim_start_matches('<');
    frame.origin != Origin::Application
        && SCHEDULERS.iter().any(|s| path.strip_prefix(s).is_some_and(|rest| rest.starts_with("::")))
}

fn id(frames: &[Frame], type_name: Option<&str>) -> u64 {
    let own = |frame: &&Frame| !is_library(frame.origin) && !is_scheduler(frame);
    let mut names = without_recursion(frames.iter().filter(own));
    if names.is_empty() {
        names = without_recursion(frames.iter().filter(|frame| frame.origin != Origin::Allocator));
    }
    names.iter().map(String::as_str).chain(type_name).fold(FNV_OFFSET, fnv)
}

fn without_recursion<'f>(frames: impl Iterator<Item = &'f Frame>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for frame in frames {
        names.push(unnumbered(&frame.function));
        let repeats = |cycle: &usize| {
            let (head, last) = names.split_at(names.len().saturating_sub(*cycle));
            head.ends_with(last)
        };
        if let Some(cycle) = (1..=MAX_CYCLE).find(repeats) {
            names.truncate(names.len() - cycle);
        }
    }
    names
}

/// `{closure#3}` and `{impl#12}` without their numbers, which change with every closure that is added above.
fn unnumbered(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('#') {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(hash: u64, name: &str) -> u64 {
    name.bytes().chain([0]).fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, origin: Origin) -> Frame {
        Frame { function: function.into(), origin, ..Frame::default() }
    }

    fn stack() -> Vec<Frame> {
        vec![
            frame("app::counting_allocator::alloc", Origin::Application),
            frame("__rustc::__rust_alloc", Origin::Allocator),
            frame("alloc::alloc::alloc", Origin::Allocator),
            frame("alloc::raw_vec::RawVec<app::Session>::grow_one", Origin::Std),
            frame("lru::Cache::put", Origin::Dependency),
            frame("app::login::{closure#2}", Origin::Application),
            frame("tokio::runtime::task::harness::poll", Origin::Dependency),
            frame("std::rt::lang_start", Origin::Std),
        ]
    }

    #[test]
    fn the_frames_that_matter_are_found() {
        let folded = fold(&stack());
        assert_eq!(folded.allocating_frame, Some(4));
        assert_eq!(folded.application_frame, Some(5));
        assert_eq!(folded.type_name.as_deref(), Some("app::Session"));
    }

    /// Pins the hash itself: a change of it orphans every saved report.
    #[test]
    fn the_id_is_the_documented_hash() {
        let hash = |names: &[&str]| names.iter().fold(FNV_OFFSET, |h, n| fnv(h, n));
        assert_eq!(fnv(FNV_OFFSET, "a"), 0x089b_e207_b544_f1e4);
        assert_eq!(fold(&stack()).id, hash(&["lru::Cache::put", "app::login::{closure}", "app::Session"]));
    }

    #[test]
    fn closures_schedulers_lines_and_addresses_do_not_change_the_id() {
        let mut other = stack();
        other[5] = Frame { line: Some(7), address: 99, ..frame("app::login::{closure#3}", Origin::Application) };
        other.remove(6);
        other.insert(3, frame("alloc::raw_vec::finish_grow", Origin::Std));
        assert_eq!(fold(&other).id, fold(&stack()).id);
        other[5] = frame("app::logout", Origin::Application);
        assert_ne!(fold(&other).id, fold(&stack()).id);
    }

    #[test]
    fn recursion_of_any_depth_is_one_site() {
        let parse = |depth: usize| {
            let round = [frame("app::value", Origin::Application), frame("app::array", Origin::Application)];
            let mut frames: Vec<Frame> = round.iter().cycle().take(2 * depth).cloned().collect();
            frames.push(frame("app::main", Origin::Application));
            fold(&frames).id
        };
        assert_eq!(parse(1), parse(40));
    }

    #[test]
    fn stacks_without_own_code_still_differ() {
        let a = fold(&[frame("std::thread::spawn", Origin::Std)]);
        let b = fold(&[frame("std::io::stdout", Origin::Std)]);
        assert_ne!(a.id, b.id);
        assert_eq!((a.allocating_frame, a.application_frame), (None, None));
        assert_eq!(fold(&[]).allocating_frame, None);
    }
}
