//! Programs that leak, each in one function.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::{Animal, Run};

pub fn all() -> Vec<Animal> {
    let leak = |name, leaks_in, live| Animal { name, leaks_in: Some(leaks_in), live, stretch: 1 };
    vec![
        leak("request_map", "remember_request", request_map as fn(&Run)),
        leak("request_map_fast", "remember_request", request_map_fast),
        leak("stuck_tasks", "closure", stuck_tasks),
        leak("growing_channel", "publish", growing_channel),
        leak("growing_queue", "enqueue", growing_queue),
        leak("forgotten_timer", "closure", forgotten_timer),
        leak("rc_cycle", "build_node", rc_cycle),
        leak("label_values", "label", label_values),
        leak("late", "remember_request", late),
        leak("plain_vector", "append", plain_vector),
        leak("boxes", "leak_box", boxes),
        leak("listeners", "subscribe", listeners),
        leak("index", "index_row", index),
        leak("interner", "intern", interner),
        leak("one_in_fifty", "serve", one_in_fifty),
        leak("many_callers", "store", many_callers),
        leak("bursts", "remember_request", bursts),
        Animal { name: "slow", leaks_in: Some("remember_request"), live: slow, stretch: 4 },
    ]
}

#[inline(never)]
fn remember_request(map: &mut HashMap<u64, Vec<u8>>, id: u64, bytes: usize) {
    map.insert(id, vec![3; bytes]);
}

fn request_map(run: &Run) {
    let mut map = HashMap::new();
    run.requests(200.0, |n| remember_request(&mut map, n, 500));
}

fn request_map_fast(run: &Run) {
    let mut map = HashMap::new();
    run.requests(1_000.0, |n| remember_request(&mut map, n, 4_000));
}

fn late(run: &Run) {
    let mut map = HashMap::new();
    run.requests(400.0, |n| {
        if run.share() > 0.4 {
            remember_request(&mut map, n, 1_000);
        }
    });
}

fn bursts(run: &Run) {
    let mut map = HashMap::new();
    run.requests(400.0, |n| {
        if run.start.elapsed().as_secs() % 3 == 0 {
            remember_request(&mut map, n, 2_000);
        }
    });
}

fn slow(run: &Run) {
    let mut map = HashMap::new();
    run.requests(20.0, |n| remember_request(&mut map, n, 400));
}

async fn wait_for_answer(request: Vec<u8>) {
    std::future::pending::<()>().await;
    drop(request);
}

fn stuck_tasks(run: &Run) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    run.requests(200.0, |_| {
        runtime.spawn(wait_for_answer(vec![1; 700]));
    });
    runtime.shutdown_background();
}

#[inline(never)]
fn publish(to: &tokio::sync::mpsc::UnboundedSender<Box<[u8; 256]>>, n: u64) {
    let _ = to.send(Box::new([n as u8; 256]));
}

fn growing_channel(run: &Run) {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    run.requests(1_000.0, |n| {
        publish(&send, n);
        if n % 4 == 0 {
            let _ = receive.try_recv();
        }
    });
}

#[inline(never)]
fn enqueue(queue: &mut VecDeque<[u64; 16]>, n: u64) {
    queue.push_back([n; 16]);
}

fn growing_queue(run: &Run) {
    let mut queue = VecDeque::new();
    run.requests(6_000.0, |n| {
        enqueue(&mut queue, n);
        if n % 3 == 0 {
            queue.pop_front();
        }
    });
}

#[inline(never)]
fn schedule(runtime: &tokio::runtime::Runtime, payload: Vec<u8>) {
    runtime.spawn(async move {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        drop(payload);
    });
}

fn forgotten_timer(run: &Run) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    run.requests(300.0, |_| schedule(&runtime, vec![0; 300]));
    runtime.shutdown_background();
}

struct Node {
    _payload: Vec<u8>,
    next: RefCell<Option<Rc<Node>>>,
}

#[inline(never)]
fn build_node() -> Rc<Node> {
    let a = Rc::new(Node { _payload: vec![1; 600], next: RefCell::default() });
    let b = Rc::new(Node { _payload: vec![2; 600], next: RefCell::new(Some(a.clone())) });
    *a.next.borrow_mut() = Some(b.clone());
    b
}

fn rc_cycle(run: &Run) {
    run.requests(300.0, |_| drop(build_node()));
}

#[inline(never)]
fn label(counters: &mut HashMap<String, u64>, user: u64) {
    *counters.entry(format!("http_requests_total{{user=\"{user:032}\",path=\"/v1/orders/{user:032}\"}}")).or_default() += 1;
}

fn label_values(run: &Run) {
    let mut counters = HashMap::new();
    run.requests(1_500.0, |n| label(&mut counters, n));
}

#[inline(never)]
fn append(log: &mut Vec<[u64; 4]>, n: u64) {
    log.push([n; 4]);
}

fn plain_vector(run: &Run) {
    let mut log = Vec::new();
    run.requests(20_000.0, |n| append(&mut log, n));
}

#[inline(never)]
fn leak_box(n: u64) -> &'static [u64; 100] {
    Box::leak(Box::new([n; 100]))
}

fn boxes(run: &Run) {
    run.requests(400.0, |n| {
        std::hint::black_box(leak_box(n));
    });
}

type Listeners = Vec<Arc<dyn Fn() -> u64>>;

#[inline(never)]
fn subscribe(listeners: &mut Listeners, n: u64) {
    let captured = [n; 80];
    listeners.push(Arc::new(move || captured[0]));
}

fn listeners(run: &Run) {
    let mut listeners = Listeners::new();
    run.requests(300.0, |n| subscribe(&mut listeners, n));
    std::hint::black_box(listeners.iter().map(|l| l()).sum::<u64>());
}

#[inline(never)]
fn index_row(index: &mut BTreeMap<String, Vec<u64>>, n: u64) {
    index.entry(format!("row-{n:020}")).or_default().extend([n; 30]);
}

fn index(run: &Run) {
    let mut index = BTreeMap::new();
    run.requests(500.0, |n| index_row(&mut index, n));
}

#[inline(never)]
fn intern(strings: &mut HashSet<Arc<str>>, n: u64) -> Arc<str> {
    let text: Arc<str> = format!("{n:0200}").into();
    strings.insert(text.clone());
    text
}

fn interner(run: &Run) {
    let mut strings = HashSet::new();
    run.requests(800.0, |n| {
        intern(&mut strings, n);
    });
}

/// The same line serves the healthy requests and those that are kept.
#[inline(never)]
fn serve(n: u64) -> Vec<u8> {
    vec![n as u8; 4_000]
}

fn one_in_fifty(run: &Run) {
    let mut kept = Vec::new();
    run.requests(2_000.0, |n| {
        let answer = serve(n);
        if n % 50 == 0 {
            kept.push(answer);
        }
    });
}

#[inline(never)]
fn store(all: &mut Vec<Vec<u8>>, n: u64) {
    all.push(vec![n as u8; 300]);
}

fn many_callers(run: &Run) {
    macro_rules! callers {
        ($($name:ident)*) => {{
            $(#[inline(never)] fn $name(all: &mut Vec<Vec<u8>>, n: u64) { store(all, n); std::hint::black_box(n); })*
            [$($name as fn(&mut Vec<Vec<u8>>, u64)),*]
        }};
    }
    let callers = callers!(a b c d e f g h i j k l m n o p q r s t);
    let mut all = Vec::new();
    run.requests(400.0, |n| callers[n as usize % callers.len()](&mut all, n));
}
