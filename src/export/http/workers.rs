//! The threads that make answers, apart by how long an answer takes.
//!
//! Each [`Class`] has slots and threads of its own, so that two profiles being made, or clients that wait for
//! `?seconds=N`, cannot hold up a scrape, and a slow scrape cannot hold up `/healthz`. A thread begins with the first
//! request that needs it and ends with the server. A slot is taken until the answer has been *written*. Probes and
//! scrapes have a slot for every connection: they queue and are not refused, however many come at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::Waker;

use super::Routes;
use super::config::ServerConfig;
use super::request::Request;
use super::response::{Delivery, Response, encode};
use super::stop::Stop;

/// How long an answer takes, and so which threads make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A probe: nearly nothing.
    Probe,
    /// Text made from what is known already.
    Light,
    /// A profile: symbols, compression.
    Dump,
    /// Waits that long because the client asked for it, then makes a profile.
    Wait(Duration),
}

const LIGHT_WORKERS: usize = 2;

/// A request on its way to a worker.
pub struct Job {
    /// Who waits for the answer.
    pub connection: usize,
    /// Which workers.
    pub class: Class,
    /// The request.
    pub request: Request,
    /// How the answer will be written.
    pub delivery: Delivery,
}

/// An answer on its way back.
pub struct Done {
    /// Who waits for it.
    pub connection: usize,
    /// Whose slot it holds.
    pub class: Class,
    /// The bytes to write.
    pub bytes: Vec<u8>,
    /// Whether the connection goes on afterwards.
    pub keep_alive: bool,
}

/// What every worker needs.
#[derive(Clone)]
pub struct Context {
    /// Makes the answers.
    pub routes: Arc<dyn Routes>,
    /// Ends waits.
    pub stop: Arc<Stop>,
    /// Takes the answers.
    pub done: Sender<Done>,
    /// Tells the event loop that there are some.
    pub waker: Arc<Waker>,
    /// First call on a thread.
    pub on_thread_start: fn(),
}

struct Pool {
    name: &'static str,
    slots: usize,
    slots_taken: usize,
    workers_bound: usize,
    workers: usize,
    outstanding: usize,
    jobs: Sender<Job>,
    queue: Receiver<Job>,
}

/// All pools. Only the event loop touches it.
pub struct Workers {
    context: Context,
    probe: Pool,
    light: Pool,
    dump: Pool,
    wait: Pool,
}

impl Workers {
    /// No thread begins yet.
    pub fn new(context: Context, config: &ServerConfig) -> Workers {
        Workers {
            context,
            probe: Pool::new("heapwatch-probe", config.connections_bound, 1),
            light: Pool::new("heapwatch-http", config.connections_bound, LIGHT_WORKERS),
            dump: Pool::new("heapwatch-dump", config.dumps_bound, config.dumps_bound),
            wait: Pool::new("heapwatch-wait", config.waits_bound, config.waits_bound),
        }
    }

    fn pool(&mut self, class: Class) -> &mut Pool {
        match class {
            Class::Probe => &mut self.probe,
            Class::Light => &mut self.light,
            Class::Dump => &mut self.dump,
            Class::Wait(_) => &mut self.wait,
        }
    }

    /// Takes a slot and hands the job over, or says why not.
    pub fn submit(&mut self, job: Job) -> Result<(), Response> {
        let context = self.context.clone();
        self.pool(job.class).submit(job, context)
    }

    /// An answer has been made; its slot stays taken.
    pub fn made(&mut self, class: Class) {
        let pool = self.pool(class);
        pool.outstanding = pool.outstanding.saturating_sub(1);
    }

    /// The answer has been written, or nobody wants it.
    pub fn release(&mut self, class: Class) {
        let pool = self.pool(class);
        pool.slots_taken = pool.slots_taken.saturating_sub(1);
    }
}

impl Pool {
    fn new(name: &'static str, slots: usize, workers_bound: usize) -> Pool {
        let (jobs, queue) = bounded(slots);
        let (slots_taken, workers, outstanding) = (0, 0, 0);
        Pool { name, slots, slots_taken, workers_bound, workers, outstanding, jobs, queue }
    }

    fn submit(&mut self, job: Job, context: Context) -> Result<(), Response> {
        if self.slots_taken >= self.slots {
            return Err(Response::busy(429, "too many requests of this kind are under way"));
        }
        if self.outstanding >= self.workers && self.workers < self.workers_bound {
            self.workers += usize::from(self.begin_worker(context).is_ok());
        }
        if self.workers == 0 || self.jobs.try_send(job).is_err() {
            return Err(Response::busy(503, "the system gives no thread for the answer"));
        }
        self.slots_taken += 1;
        self.outstanding += 1;
        Ok(())
    }

    fn begin_worker(&self, context: Context) -> std::io::Result<()> {
        let queue = self.queue.clone();
        thread::Builder::new().name(self.name.to_owned()).spawn(move || work(&queue, &context)).map(drop)
    }
}

fn work(queue: &Receiver<Job>, context: &Context) {
    (context.on_thread_start)();
    for Job { connection, class, request, delivery } in queue {
        let made = catch_unwind(AssertUnwindSafe(|| encode(context.routes.answer(&request, &context.stop), delivery)));
        let bytes = made.unwrap_or_else(|_| encode(Response::error(500, "making the answer panicked"), delivery));
        let done = Done { connection, class, bytes, keep_alive: delivery.keep_alive };
        // Nobody to send to: the server has ended. A failed wake-up leaves the answer to the loop's next turn.
        if context.done.send(done).is_err() {
            return;
        }
        let _ = context.waker.wake();
    }
}
