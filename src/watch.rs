//! `Watch`: starts the recorder and the collector, answers questions, stops. The only file that names all stages.
//!
//! ```text
//! builder ──start──▶ running ──stop, or drop──▶ stopped
//! ```
//!
//! One watch a process at a time, as the recorder is the process's. The application's threads never wait for the collector, except
//! in the calls of `Watch` that ask it for something, and those give up after [`ANSWER_WITHIN`].

mod anomalies;
mod builder;
mod collecting;
#[cfg(feature = "http")]
mod endpoints;
#[cfg(feature = "http")]
mod outlook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use self::anomalies::AnomalyLog;
pub use self::builder::Builder;
use self::collecting::{Command, Kept};
use crate::analyze::heap::{self, Verdict};
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::export::prometheus::{AnomalyCounts, Exporter, Form, Sources};
use crate::export::report::Report;
use crate::export::{ProfileKind, pprof};
use crate::gc;
use crate::record::{control, thread};
use crate::snapshot::Snapshot;

/// How long a call waits for the collector. It answers within milliseconds unless the machine is starved.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An observation this young is given again, so that scrapers and people at once cost one snapshot.
const FRESH_FOR: Duration = Duration::from_millis(200);
/// The collector's own observations take at most one part in so many of its time.
const OBSERVING_SHARE: u32 = 200;

/// The process that has a running watch; 0 is none. A forked child is another process, so it may start its own.
static RUNNING_IN: AtomicU32 = AtomicU32::new(0);

/// A running watch. Dropping it stops it.
///
/// ```no_run
/// use heapwatch::{HeapWatch, Watch};
///
/// #[global_allocator]
/// static HEAP: HeapWatch = HeapWatch::system();
///
/// fn main() -> heapwatch::Result<()> {
///     let watch = Watch::builder().service("checkout").version("1.4.2").start()?;
///     // … the service runs …
///     println!("{}", watch.stop().to_text());
///     Ok(())
/// }
/// ```
#[must_use = "dropping a watch stops it"]
pub struct Watch {
    shared: Arc<Shared>,
    collector: Option<JoinHandle<()>>,
    #[cfg(feature = "http")]
    server: Option<crate::export::http::Server>,
}

/// What the watch, its endpoints and its exporters share.
struct Shared {
    config: Config,
    pid: u32,
    commands: Sender<Command>,
    latest: Arc<Mutex<Option<Observation>>>,
    anomalies: Arc<Mutex<AnomalyLog>>,
    metrics: Mutex<Exporter>,
    /// The interval asked for, which `resume` goes back to.
    interval: AtomicU64,
    alive: Arc<AtomicBool>,
}

/// A snapshot with its verdict.
#[derive(Clone)]
struct Observation {
    taken: Instant,
    /// How long it may be given again.
    fresh_for: Duration,
    snapshot: Arc<Snapshot>,
    verdict: Arc<Verdict>,
}

impl Watch {
    /// Settings, then [`Builder::start`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts with settings from the environment: `HEAPWATCH_SERVICE`, `HEAPWATCH_VERSION`, `HEAPWATCH_LABELS`
    /// (`name=value,…`), `HEAPWATCH_SAMPLE_INTERVAL_BYTES`, `HEAPWATCH_TICK_MS`, `HEAPWATCH_CLASSIC_NAMES` (`true`, `false`),
    /// `HEAPWATCH_DUMP_DIR` with `HEAPWATCH_DUMP_EVERY_S` and `HEAPWATCH_DUMP_KEEP`, `HEAPWATCH_SERVE` and `HEAPWATCH_TOKEN`
    /// (feature http). Errors as [`Builder::start`]; a value that cannot be read names its variable.
    pub fn from_env() -> Result<Watch> {
        Builder::from_env()?.start()
    }

    fn start(config: Config) -> Result<Watch> {
        config.validate()?;
        check_installed()?;
        let pid = std::process::id();
        let before = RUNNING_IN.swap(pid, Ordering::AcqRel);
        if before == pid {
            return Err(Error::state("a watch is running in this process already; stop it before starting another"));
        }
        let started = Watch::start_threads(config, pid);
        if started.is_err() {
            control::set_interval(control::OFF);
            RUNNING_IN.store(0, Ordering::Release);
        }
        started
    }

    fn start_threads(config: Config, pid: u32) -> Result<Watch> {
        thread::install_fork_handler();
        crate::record::map::set_bound(config.max_recorder_bytes);
        let (commands, received) = bounded(16);
        let alive = Arc::new(AtomicBool::new(true));
        let shared = Arc::new(Shared {
            pid,
            commands,
            latest: Arc::new(Mutex::new(None)),
            anomalies: Arc::new(Mutex::new(AnomalyLog::new())),
            metrics: Mutex::default(),
            interval: AtomicU64::new(config.sample_interval_bytes),
            alive: alive.clone(),
            config,
        });
        let (ready, is_ready) = bounded(1);
        let (config, anomalies, latest) = (shared.config.clone(), shared.anomalies.clone(), shared.latest.clone());
        let collector = std::thread::Builder::new()
            .name("heapwatch".into())
            .spawn(move || {
                collecting::run(&config, &received, &ready, &alive, &Kept { latest: &latest, anomalies: &anomalies })
            })
            .map_err(|e| Error::io("cannot start the collector's thread").because(e))?;
        // Samples begin once the unwind tables are there, so that the first stacks are whole.
        is_ready.recv_timeout(ANSWER_WITHIN).map_err(|e| Error::io("the collector did not start").because(e))?;
        control::set_interval(shared.config.sample_interval_bytes);
        thread::look_soon();
        Ok(Watch {
            #[cfg(feature = "http")]
            server: endpoints::serve(&shared)?,
            shared,
            collector: Some(collector),
        })
    }

    /// What the process looks like now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.observe_now().snapshot
    }

    /// The leak report on the process as it is now.
    pub fn report(&self) -> Report {
        self.shared.observe_now().report()
    }

    /// All metrics as Prometheus text 0.0.4.
    pub fn metrics_text(&self) -> String {
        self.shared.metrics_text(false)
    }

    /// A heap profile: gzip `profile.proto`, for `go tool pprof` and what reads its format.
    pub fn heap_profile(&self, kind: ProfileKind) -> Vec<u8> {
        pprof::heap_profile(&self.shared.observe_now().snapshot, kind)
    }

    /// Changes the sampling interval, while running. Estimates stay unbiased, as each sample keeps the weight it was drawn with.
    /// A thread follows within 64 KiB of its allocations. Errors: an interval that [`Builder::sample_interval_bytes`] refuses.
    pub fn set_sample_interval_bytes(&self, bytes: u64) -> Result<()> {
        config::check_interval(bytes)?;
        self.shared.interval.store(bytes, Ordering::Relaxed);
        control::set_interval(bytes);
        thread::look_soon();
        Ok(())
    }

    /// Takes no further samples until [`resume`](Watch::resume). Counting goes on, and so do frees of what was sampled.
    pub fn pause(&self) {
        control::set_interval(control::OFF);
        thread::look_soon();
    }

    /// Takes samples again.
    pub fn resume(&self) {
        control::set_interval(self.shared.interval.load(Ordering::Relaxed));
        thread::look_soon();
    }

    /// Stops: exporters are flushed, the last report is made, the threads end. Samples are no longer taken; the wrapper counts on.
    pub fn stop(mut self) -> Report {
        let report = self.shared.observe_now().report();
        self.end();
        report
    }

    fn end(&mut self) {
        #[cfg(feature = "http")]
        if let Some(server) = self.server.take() {
            server.stop();
        }
        let Some(collector) = self.collector.take() else { return };
        if self.shared.pid != std::process::id() {
            // A forked child has the handle and not the thread.
            return;
        }
        control::set_interval(control::OFF);
        let _ = self.shared.commands.send_timeout(Command::Stop, ANSWER_WITHIN);
        let _ = collector.join();
        RUNNING_IN.store(0, Ordering::Release);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// The last observation if it is fresh, else a new one.
    fn observe(&self) -> Observation {
        let latest = self.latest.lock().clone();
        latest.filter(|o| o.taken.elapsed() < o.fresh_for).unwrap_or_else(|| self.observe_now())
    }

    /// Asks the collector. If it cannot answer, the last observation is given; if there is none, an empty one.
    fn observe_now(&self) -> Observation {
        if let Some(snapshot) = self.ask() {
            let observation = Observation::of(snapshot, &self.config, FRESH_FOR);
            *self.latest.lock() = Some(observation.clone());
            return observation;
        }
        let nothing = || Observation::of(Arc::default(), &self.config, FRESH_FOR);
        self.latest.lock().clone().unwrap_or_else(nothing)
    }

    fn ask(&self) -> Option<Arc<Snapshot>> {
        if !self.is_alive() {
            return None;
        }
        let (reply, answer) = bounded(1);
        self.commands.send_timeout(Command::Snapshot(reply), ANSWER_WITHIN).ok()?;
        answer.recv_timeout(ANSWER_WITHIN).ok()
    }

    fn is_alive(&self) -> bool {
        self.pid == std::process::id() && self.alive.load(Ordering::Acquire)
    }

    fn metrics_text(&self, openmetrics: bool) -> String {
        let o = self.observe();
        let pauses = gc::pauses();
        let anomalies = self.anomaly_counts();
        let (snapshot, verdict) = (&*o.snapshot, &*o.verdict);
        let sources = Sources { snapshot, verdict, anomalies: Some(&anomalies), pauses: &pauses };
        let form = if openmetrics { Form::OpenMetrics } else { Form::Text };
        self.metrics.lock().scrape(&sources, self.config.classic_names, form)
    }

    fn anomaly_counts(&self) -> AnomalyCounts {
        let log = self.anomalies.lock();
        AnomalyCounts { score: log.score(), by_severity: log.counts().map(|(_, count)| count) }
    }
}

impl Observation {
    fn of(snapshot: Arc<Snapshot>, config: &Config, fresh_for: Duration) -> Observation {
        let verdict = Arc::new(heap::verdict(&snapshot, &config.thresholds));
        Observation { taken: Instant::now(), fresh_for, snapshot, verdict }
    }

    fn report(&self) -> Report {
        Report::new(&self.snapshot, &self.verdict)
    }
}

/// Whether the process's allocations come through the wrapper: otherwise everything would read 0.
fn check_installed() -> Result<()> {
    let count = || thread::current().map(|b| b.exact()[2]);
    let before = count();
    drop(std::hint::black_box(Box::new(0u8)));
    if count() > before {
        return Ok(());
    }
    let what = "HeapWatch is not the global allocator, so nothing would be seen; add";
    let how =
        "`#[global_allocator] static HEAP: heapwatch::HeapWatch = heapwatch::HeapWatch::system();` to the program";
    Err(Error::state(format!("{what} {how}")))
}
