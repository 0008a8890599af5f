//! Code that comes and goes: a library built here, loaded after the first refresh, captured through, unloaded, loaded again.
//! The process's allocator counts, so that the same test holds captures to allocating nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use heapwatch::record::stack::{self, Captured, Ended, MAX_FRAMES, StackBounds};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes every call on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

const LIBRARY: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn call_back(depth: u32, back: extern "C" fn(*mut u8), with: *mut u8) -> u32 {
    let mut room = [depth; 20];
    std::hint::black_box(&mut room);
    if depth == 0 { back(with) } else { std::hint::black_box(call_back(depth - 1, back, with)); }
    room[0]
}
"#;

/// Frames of the library on the stack that is captured.
const DEPTH: u32 = 20;

type CallBack = extern "C" fn(u32, extern "C" fn(*mut u8), *mut u8) -> u32;

fn build_library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("plugin.rs"), folder.join("libplugin.so"));
    std::fs::write(&source, LIBRARY).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=cdylib", "-O", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(built.success());
    library
}

struct Library(*mut c_void);

impl Library {
    fn open(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path that ends in a zero byte; the library's initialisers are those of every Rust library.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null());
        Self(handle)
    }

    fn call_back(&self) -> CallBack {
        // SAFETY: the handle is open, and the symbol is a function of this type.
        unsafe { std::mem::transmute(libc::dlsym(self.0, c"call_back".as_ptr())) }
    }

    fn close(self) {
        // SAFETY: open, closed once, and none of its functions is running.
        assert_eq!(unsafe { libc::dlclose(self.0) }, 0);
    }
}

extern "C" fn capture(into: *mut u8) {
    let mut out = [0; MAX_FRAMES];
    let bounds = StackBounds::of_current_thread();
    let before = ALLOCATIONS.load(Relaxed);
    // SAFETY: the bounds are this thread's, and `into` is the local of the caller below.
    unsafe { *into.cast::<Option<Captured>>() = Some(stack::capture(&mut out, bounds)) };
    assert_eq!(ALLOCATIONS.load(Relaxed), before, "a capture allocated");
}

fn captured_through(library: &Library) -> Captured {
    let mut captured: Option<Captured> = None;
    library.call_back()(DEPTH, capture, (&raw mut captured).cast());
    captured.unwrap()
}

fn is_listed(path: &Path) -> bool {
    stack::modules().iter().any(|module| module.path == path)
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = build_library(folder.path());
    stack::refresh();
    assert!(!stack::refresh().modules_changed);

    let library = Library::open(&path);
    let unknown = captured_through(&library);
    assert!(unknown.truncated && unknown.len < DEPTH as usize, "{unknown:?}");
    assert!(stack::refresh().modules_changed && is_listed(&path));
    let known = captured_through(&library);
    assert_eq!((known.ended, known.recovered), (Ended::Complete, 0));
    assert!(known.len > DEPTH as usize);

    library.close();
    assert!(stack::refresh().modules_changed && !is_listed(&path));
    let mut report = stack::refresh();
    for _ in 0..50 {
        let library = Library::open(&path);
        stack::refresh();
        assert_eq!(captured_through(&library), known);
        library.close();
        let again = stack::refresh();
        assert!(report.table_bytes == again.table_bytes, "a library that comes back gets a second table");
        report = again;
    }
    println!("captured {} frames through a library that came and went: {report:?}", known.len);
}
