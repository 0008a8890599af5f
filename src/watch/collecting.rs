//! The collector's thread: when it drains, ticks, dumps and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;

use super::anomalies::AnomalyLog;
use super::{FRESH_FOR, OBSERVING_SHARE, Observation};
use crate::analyze::heap;
use crate::collect::collector::{Bounds, Collector};
use crate::collect::process::ProcRoot;
use crate::collect::process::placement::placement;
use crate::config::Config;
use crate::export::dump;
use crate::export::report::Report;
use crate::record::control;
use crate::snapshot::{Identity, Snapshot};

/// What the collector is asked.
pub enum Command {
    Snapshot(Sender<Arc<Snapshot>>),
    Stop,
}

/// What the collector's thread leaves for others to see.
pub struct Kept<'a> {
    pub latest: &'a Mutex<Option<Observation>>,
    pub anomalies: &'a Mutex<AnomalyLog>,
}

/// The longest and shortest pause between two drains. Rings that fill shorten it, rings that stay empty lengthen it.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Runs until it is told to stop. Should it ever panic, sampling ends and the service goes on.
pub fn run(config: &Config, commands: &Receiver<Command>, ready: &Sender<()>, alive: &AtomicBool, kept: &Kept<'_>) {
    let work = AssertUnwindSafe(|| {
        let mut collecting = Collecting::new(config, kept);
        let _ = ready.send(());
        collecting.run(commands);
    });
    if catch_unwind(work).is_err() {
        control::set_interval(control::OFF);
        eprintln!("heapwatch: the collector failed; sampling has ended, the service is not affected");
    }
    alive.store(false, Ordering::Release);
}

struct Collecting<'a> {
    config: &'a Config,
    collector: Collector,
    kept: &'a Kept<'a>,
    next_tick: Instant,
    next_observation: Instant,
    next_dump: Option<Instant>,
    pause: Duration,
}

impl<'a> Collecting<'a> {
    fn new(config: &'a Config, kept: &'a Kept<'a>) -> Collecting<'a> {
        let bounds = Bounds {
            live_samples: config.max_live_samples,
            stacks: config.max_stacks,
            sites: config.max_sites,
            base_s: config.tick.as_secs_f64() * 0.99,
        };
        let mut collector = Collector::new(identity(config), bounds);
        collector.prepare();
        let now = Instant::now();
        let next_dump = config.dumps.as_ref().map(|d| now + d.every);
        Collecting {
            config,
            collector,
            kept,
            next_tick: now + config.tick,
            next_observation: now + config.tick,
            next_dump,
            pause: LONGEST_PAUSE,
        }
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        loop {
            let wait = self.pause.min(self.next_tick.saturating_duration_since(Instant::now()));
            match commands.recv_timeout(wait) {
                Ok(Command::Snapshot(reply)) => self.answer(&reply),
                Err(RecvTimeoutError::Timeout) => self.drain(),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return self.last(),
            }
            self.tick_if_due();
        }
    }

    fn drain(&mut self) {
        let fullest = self.collector.drain();
        self.pause = match () {
            () if fullest > 0.25 => (self.pause / 2).max(SHORTEST_PAUSE),
            () if fullest < 0.05 => (self.pause * 2).min(LONGEST_PAUSE),
            () => self.pause,
        };
    }

    fn answer(&mut self, reply: &Sender<Arc<Snapshot>>) {
        self.drain();
        // Whoever asked may have gone.
        let _ = reply.try_send(Arc::new(self.collector.snapshot()));
    }

    fn tick_if_due(&mut self) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.drain();
        self.collector.tick();
        if let Some((time_s, bytes)) = self.collector.memory_in_use() {
            self.kept.anomalies.lock().push(time_s, bytes);
        }
        // Ticks that were missed (a stopped process) are not made up for.
        self.next_tick = (self.next_tick + self.config.tick).max(now);
        if now >= self.next_observation {
            self.observe();
        }
        if self.next_dump.is_some_and(|at| now >= at) {
            self.dump();
        }
    }

    /// An observation for whoever scrapes next, so that a scrape does not wait for one. Dear ones are made more rarely.
    fn observe(&mut self) {
        let began = Instant::now();
        let snapshot = Arc::new(self.collector.snapshot());
        let mut observation = Observation::of(snapshot, self.config, FRESH_FOR);
        let rest = (began.elapsed() * OBSERVING_SHARE).max(self.config.tick);
        self.next_observation = Instant::now() + rest;
        observation.fresh_for = rest + self.config.tick * 2;
        *self.kept.latest.lock() = Some(observation);
    }

    fn last(&mut self) {
        self.drain();
        if self.config.dumps.is_some() {
            self.dump();
        }
    }

    fn dump(&mut self) {
        let Some(dumps) = &self.config.dumps else { return };
        self.next_dump = Some(Instant::now() + dumps.every);
        let snapshot = self.collector.snapshot();
        let report = Report::new(&snapshot, &heap::verdict(&snapshot, &self.config.thresholds));
        if let Err(e) = dump::write(&report, &dumps.directory, dumps.keep) {
            eprintln!("heapwatch: {e}");
        }
    }
}

fn identity(config: &Config) -> Identity {
    let pid = std::process::id();
    let started_at_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let session_id =
        config.session_id.clone().unwrap_or_else(|| format!("{:012x}-{pid:x}", (started_at_s * 1000.0) as u64));
    Identity {
        pid,
        service: config.service.clone(),
        version: config.version.clone(),
        session_id,
        started_at_s,
        labels: config.labels.clone(),
        placement: placement(&ProcRoot::default(), &|name| std::env::var(name).ok()),
    }
}
