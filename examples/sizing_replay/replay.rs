//! Plays a service against a strategy: two weeks of history under the owner's limit, then a month under the strategy's.
//!
//! Every strategy is asked once a day and again right after each OOM kill, and its answer holds at once: kinder than any of
//! them is run. A container that is over its limit is killed, and starts again after a back-off that doubles from 10 s to
//! 5 min and is forgotten after 10 min (the kubelet's rule).

use heapwatch::analyze::sizing::usage::Usage;
use heapwatch::analyze::sizing::workload::{Pod, Workload};
use heapwatch::analyze::sizing::{Options, Strategy, recommend};

use crate::demand::{DAY, Service};

pub const HISTORY_DAYS: usize = 14;
pub const REPLAY_DAYS: usize = 30;
pub const MINUTES: usize = (HISTORY_DAYS + REPLAY_DAYS) * DAY;

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Contender {
    pub strategy: Strategy,
    /// Request as much as the limit.
    pub guaranteed: bool,
    /// The process reports its own peaks, so none between two scrapes is missed.
    pub in_process: bool,
}

/// What became of a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    pub kills: u64,
    /// Mean over the replay, bytes.
    pub request: f64,
    pub limit: f64,
}

struct Run<'a> {
    service: &'a Service,
    contender: Contender,
    workload: Workload,
    leaked: f64,
    backoff_minutes: f64,
    down_until: f64,
    last_kill: f64,
}

pub fn replay(service: &Service, contender: Contender) -> Outcome {
    let pods = vec![Pod { name: "pod".into(), usage: Usage::default() }];
    let initial = Some(service.initial);
    let workload = Workload { pods, request_bytes: initial, limit_bytes: initial, ..Workload::default() };
    let mut run =
        Run { service, contender, workload, leaked: 0.0, backoff_minutes: 0.0, down_until: 0.0, last_kill: -1e9 };
    let mut outcome = Outcome::default();
    let from = HISTORY_DAYS * DAY;
    for minute in 0..MINUTES {
        let replaying = minute >= from;
        if replaying && (minute - from).is_multiple_of(DAY) {
            run.ask(minute);
        }
        let killed = run.step(minute);
        if replaying {
            outcome.kills += u64::from(killed);
            outcome.request += run.workload.request_bytes.unwrap_or(0.0) / (REPLAY_DAYS * DAY) as f64;
            outcome.limit += run.workload.limit_bytes.unwrap_or(0.0) / (REPLAY_DAYS * DAY) as f64;
            if killed {
                run.ask(minute + 1);
            }
        }
    }
    outcome
}

impl Run<'_> {
    /// One minute of life; true when it ended in an OOM kill.
    fn step(&mut self, minute: usize) -> bool {
        let now = minute as f64;
        if minute > 0 && self.service.starts.contains(&minute) {
            self.leaked = 0.0;
            self.workload.pods.push(Pod { name: format!("pod-{minute}"), usage: Usage::default() });
        }
        if now < self.down_until {
            return false;
        }
        self.leaked += self.service.leak_per_minute;
        let limit = self.workload.limit_bytes.unwrap_or(f64::INFINITY);
        let (scraped, highest) =
            (self.service.scraped[minute] + self.leaked, self.service.highest[minute] + self.leaked);
        let Some(Pod { usage, .. }) = self.workload.pods.last_mut() else { return false };
        usage.add(now * 60.0, scraped.min(limit));
        if self.contender.in_process {
            usage.raise_peak(now * 60.0, highest.min(limit));
        }
        if highest <= limit {
            return false;
        }
        usage.add_oom(now * 60.0, Some(limit));
        self.leaked = 0.0;
        let fresh = now - self.last_kill > 10.0;
        self.backoff_minutes = if fresh { 10.0 / 60.0 } else { (self.backoff_minutes * 2.0).min(5.0) };
        self.last_kill = now;
        self.down_until = now + self.backoff_minutes;
        true
    }

    fn ask(&mut self, minute: usize) {
        let c = self.contender;
        let options = Options { strategy: c.strategy, guaranteed: c.guaranteed, ..Options::default() };
        self.workload.leak = None;
        if c.strategy == Strategy::Ours {
            self.workload.find_leak();
        }
        let target = recommend(&self.workload, minute as f64 * 60.0, &options).target;
        if let (Some(request), Some(limit)) = (target.request_bytes, target.limit_bytes) {
            self.workload.request_bytes = Some(request as f64);
            self.workload.limit_bytes = Some(limit as f64);
        }
    }
}
