//! The collector's side with 100,000 live samples of 10,000 call sites: drain, tick, snapshot, profile, report, scrape, and what it uses when
//! nothing happens.
//!
//! The samples are real ones: a thread allocates with an interval of one byte, from stacks of functions that differ. First a collector
//! is driven by hand, so that each of its steps can be timed, then a watch is asked as its users ask. With
//! `HEAPWATCH_BENCH_BRIEF=1` all is small, and proves only that it runs.

use std::hint::black_box;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use heapwatch::collect::collector::{Bounds, Collector};
use heapwatch::export::pprof;
use heapwatch::record::control;
use heapwatch::snapshot::Identity;
use heapwatch::{HeapWatch, ProfileKind, Watch};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

/// What the numbers are taken with.
struct Size {
    samples: usize,
    sites: usize,
    rounds: usize,
    idle: Duration,
}

const FULL: Size = Size { samples: 100_000, sites: 10_000, rounds: 40, idle: Duration::from_secs(10) };
const BRIEF: Size = Size { samples: 2_000, sites: 200, rounds: 2, idle: Duration::from_millis(300) };

/// Samples between two drains: what the ring of a thread holds.
const BURST: usize = 64;
/// Calls above each allocation, the ones that tell the sites apart included.
const DEPTH: usize = 24;

/// As in a second of a busy service.
const DRAINS_PER_TICK: usize = 16;
/// Time for the collector to empty the ring.
const BETWEEN_BURSTS: Duration = Duration::from_millis(5);
/// A scrape sooner after another gets the same snapshot again.
const NO_LONGER_FRESH: Duration = Duration::from_millis(210);

type Frame = fn(usize, usize) -> Vec<u8>;

macro_rules! frames {
    ($($name:ident)*) => {
        $(#[inline(never)]
        fn $name(site: usize, depth: usize) -> Vec<u8> {
            let bytes = down(site, depth);
            // What differs keeps the functions apart, and what follows the call keeps its frame.
            black_box(stringify!($name));
            bytes
        })*
        static FRAMES: [Frame; 16] = [$($name),*];
    };
}

frames!(accept route authorise decode validate price reserve bill ship notify audit render encode compress flush close);

/// The path to an allocation is its site's number, a function for each hexadecimal digit, the last digits innermost.
#[inline(always)]
fn down(site: usize, depth: usize) -> Vec<u8> {
    match depth {
        0 => Vec::with_capacity(64),
        _ => FRAMES[(site >> (4 * ((depth - 1) % 8))) % FRAMES.len()](site, depth - 1),
    }
}

/// A thread that allocates what it is asked for, and keeps it until it is told to let go.
struct Application {
    orders: Sender<Option<std::ops::Range<usize>>>,
    done: Receiver<()>,
}

impl Application {
    fn start(sites: usize, samples: usize) -> Application {
        let (orders, received) = channel::<Option<std::ops::Range<usize>>>();
        let (finished, done) = channel();
        thread::spawn(move || {
            let mut kept: Vec<Vec<u8>> = Vec::with_capacity(samples);
            for order in received {
                match order {
                    Some(numbers) => numbers.for_each(|n| kept.push(FRAMES[0](n % sites, DEPTH))),
                    None => kept.clear(),
                }
                if finished.send(()).is_err() {
                    return;
                }
            }
        });
        Application { orders, done }
    }

    fn run(&self, order: Option<std::ops::Range<usize>>) {
        self.orders.send(order).expect("the application's thread receives until it is dropped");
        self.done.recv().expect("the application's thread answers each order");
    }

    /// All samples, `between` two bursts.
    fn fill(&self, samples: usize, mut between: impl FnMut()) {
        for start in (0..samples).step_by(BURST) {
            self.run(Some(start..(start + BURST).min(samples)));
            between();
        }
    }
}

fn milliseconds(body: impl FnOnce()) -> f64 {
    let start = Instant::now();
    body();
    start.elapsed().as_secs_f64() * 1e3
}

/// Prints the median and the worst but one in a hundred of what was measured.
fn print(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)];
    println!("{what:<34} {:9.3} ms least {:9.3} ms median {:9.3} ms p99", times[0], at(0.5), at(0.99));
}

fn repeated(what: &str, rounds: usize, body: impl FnMut()) {
    apart(what, rounds, Duration::ZERO, body);
}

/// With a pause before each.
fn apart(what: &str, rounds: usize, pause: Duration, mut body: impl FnMut()) {
    let once = |_| {
        thread::sleep(pause);
        milliseconds(&mut body)
    };
    print(what, (0..rounds).map(once).collect());
}

/// Each step of the collector, by hand.
fn steps(size: &Size) {
    let bounds = Bounds { live_samples: 1 << 18, stacks: 1 << 15, sites: 1 << 14, base_s: 1.0 };
    let application = Application::start(size.sites, size.samples);
    let mut collector = Collector::new(Identity::default(), bounds);
    collector.prepare();
    control::set_interval(1);
    let (mut drains, mut ticks) = (Vec::new(), Vec::new());
    application.fill(size.samples, || {
        drains.push(milliseconds(|| {
            collector.drain();
        }));
        if drains.len().is_multiple_of(DRAINS_PER_TICK) {
            ticks.push(milliseconds(|| collector.tick()));
        }
    });
    control::set_interval(control::OFF);
    print(&format!("drain of {BURST} samples"), drains);
    print("tick while sites are new", ticks);
    repeated("tick", size.rounds, || collector.tick());
    repeated("snapshot", size.rounds, || drop(black_box(collector.snapshot())));
    let snapshot = collector.snapshot();
    println!(
        "  {} live samples, {} sites listed, {} lost",
        snapshot.recorder.live_samples,
        snapshot.sites.len(),
        snapshot.recorder.dropped.ring_full
    );
    repeated("heap profile of a snapshot", size.rounds, || {
        black_box(pprof::heap_profile(&snapshot, ProfileKind::Heap));
    });
    application.run(None);
    print(
        &format!("drain of {} frees", size.samples),
        vec![milliseconds(|| {
            collector.drain();
        })],
    );
}

/// What the watch's users wait for, and what the watch uses when nothing happens.
fn answers(size: &Size) -> heapwatch::Result<()> {
    let application = Application::start(size.sites, size.samples);
    let watch =
        Watch::builder().service("bench").max_stacks(1 << 15).max_sites(1 << 14).sample_interval_bytes(1).start()?;
    application.fill(size.samples, || thread::sleep(BETWEEN_BURSTS));
    watch.pause();
    repeated("report", size.rounds, || drop(black_box(watch.report())));
    repeated("heap profile, asked for", size.rounds, || drop(black_box(watch.heap_profile(ProfileKind::Heap))));
    apart("scrape", size.rounds, NO_LONGER_FRESH, || {
        drop(black_box(watch.metrics_text()));
    });
    let before = watch.report().recorder.cpu_seconds;
    thread::sleep(size.idle);
    let recorder = watch.stop().recorder;
    let used = (recorder.cpu_seconds - before) / size.idle.as_secs_f64() * 100.0;
    println!("collector when nothing happens     {used:9.3} % of one core");
    println!(
        "  {} live samples, own memory {:.1} MiB",
        recorder.live_samples,
        recorder.own_bytes as f64 / f64::from(1 << 20)
    );
    Ok(())
}

fn main() -> heapwatch::Result<()> {
    let size = if std::env::var_os("HEAPWATCH_BENCH_BRIEF").is_some() { BRIEF } else { FULL };
    // The thread that drives a collector becomes one of the recorder's own, which `main` must not.
    thread::scope(|scope| scope.spawn(|| steps(&size)).join()).expect("the steps run");
    answers(&size)
}
