// A program whose allocator prints the return addresses of the next allocation after it was armed.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

struct Tracing;
thread_local!(static ARMED: Cell<Option<&'static str>> = const { Cell::new(None) });

#[repr(C)]
struct Context(());
unsafe extern "C" {
    fn _Unwind_Backtrace(f: extern "C" fn(*mut Context, *mut Stack) -> i32, data: *mut Stack) -> i32;
    fn _Unwind_GetIP(context: *mut Context) -> usize;
}
#[repr(C)]
struct Stack {
    frames: [usize; 64],
    count: usize,
}
extern "C" fn step(context: *mut Context, stack: *mut Stack) -> i32 {
    let stack = unsafe { &mut *stack };
    if stack.count < stack.frames.len() {
        stack.frames[stack.count] = unsafe { _Unwind_GetIP(context) };
        stack.count += 1;
    }
    0
}

#[inline(never)]
fn record() {
    let Ok(Some(label)) = ARMED.try_with(|armed| armed.replace(None)) else { return };
    let mut stack = Stack { frames: [0; 64], count: 0 };
    unsafe { _Unwind_Backtrace(step, &mut stack) };
    let addresses: Vec<String> = stack.frames[..stack.count].iter().map(|a| format!("{a:x}")).collect();
    println!("{label} {}", addresses.join(" "));
}

unsafe impl GlobalAlloc for Tracing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record();
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record();
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record();
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Tracing = Tracing;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub [u64; 5]);

fn arm(label: &'static str) {
    ARMED.set(Some(label));
}

#[inline(never)]
fn session(n: u64) -> Session {
    Session([n; 5])
}

trait Keep {
    fn keep(&mut self, n: u64);
}
#[derive(Default)]
struct Store {
    rows: Vec<Session>,
}
impl Keep for Store {
    #[inline(never)]
    fn keep(&mut self, n: u64) {
        arm("method");
        self.rows.push(session(n));
    }
}

mod cache {
    use super::*;
    #[inline(always)]
    pub fn fill<T: Clone>(into: &mut Vec<T>, value: T) {
        into.push(value);
    }
    #[inline(never)]
    pub fn grow(rows: &mut Vec<Session>, n: u64) {
        arm("inlined");
        fill(rows, session(n));
    }
}

macro_rules! sample {
    ($name:ident, $label:literal, $n:ident, $make:expr) => {
        #[inline(never)]
        fn $name($n: u64) {
            let made = {
                arm($label);
                $make
            };
            ARMED.set(None);
            std::hint::black_box(&made);
        }
    };
}

sample!(vec_push, "vec", n, {
    let mut v = Vec::new();
    v.push(session(n));
    v
});
sample!(vec_collect, "collect", n, (0..n).map(session).collect::<Vec<_>>());
sample!(vec_macro, "from_elem", n, vec![session(n); 3]);
sample!(boxed, "box", n, Box::new(session(n)));
sample!(rc, "rc", n, Rc::new(session(n)));
sample!(arc, "arc", n, Arc::new(session(n)));
sample!(hash_map, "hashmap", n, {
    let mut m = HashMap::new();
    m.insert(n, session(n));
    m
});
sample!(hash_set, "hashset", n, {
    let mut m = HashSet::new();
    m.insert(session(n));
    m
});
sample!(btree_map, "btreemap", n, {
    let mut m = BTreeMap::new();
    m.insert(n, session(n));
    m
});
sample!(btree_set, "btreeset", n, {
    let mut m = BTreeSet::new();
    m.insert(session(n));
    m
});
sample!(deque, "deque", n, {
    let mut d = VecDeque::new();
    d.push_back(session(n));
    d
});
sample!(string, "string", n, {
    let mut s = String::new();
    s.push_str(if n > 1 { "a longer text" } else { "b" });
    s
});
sample!(formatted, "format", n, format!("{n} and more"));
sample!(bytes, "bytes", n, {
    let mut v: Vec<u8> = Vec::new();
    v.extend_from_slice(&n.to_le_bytes());
    v
});
sample!(dynamic, "dyn", n, Box::new(n) as Box<dyn Display>);
sample!(channel, "channel", n, {
    let (tx, rx) = {
        ARMED.set(None);
        std::sync::mpsc::channel()
    };
    arm("channel");
    tx.send(session(n)).unwrap();
    (tx, rx)
});

fn main() {
    let base = std::fs::read_to_string("/proc/self/maps").unwrap();
    println!("maps {}", base.lines().next().unwrap());
    let exe = std::env::current_exe().unwrap();
    let last = base.lines().filter(|l| l.ends_with(exe.to_str().unwrap())).last().unwrap().to_owned();
    println!("last {last}");
    let n = std::env::args().count() as u64;
    for f in [vec_push, vec_collect, vec_macro, boxed, rc, arc, hash_map, hash_set, btree_map, btree_set, deque, string, formatted, bytes, dynamic, channel] {
        f(n);
    }
    let mut store = Store::default();
    store.keep(n);
    let mut rows = Vec::new();
    cache::grow(&mut rows, n);
    let keep = move || {
        arm("closure");
        vec![session(n), session(n)]
    };
    std::hint::black_box((&store.rows, &rows, keep()));
}
