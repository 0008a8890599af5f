//! The thread that waits for all sockets at once.
//!
//! It accepts, reads, writes and keeps time; it never makes an answer. Everything it does for one event is bounded, so
//! no client can hold up another. Only this thread touches connections and slots; workers reach it by a channel and a
//! wake-up.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::Routes;
use super::config::ServerConfig;
use super::connection::{Connection, Step};
use super::request::{Parsed, Request};
use super::response::{Delivery, Response, encode};
use super::stop::Stop;
use super::workers::{Class, Context, Done, Job, Workers};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// Connections accepted in one go, before others get their turn.
const ACCEPTS_A_TURN: usize = 64;
/// Requests of one connection that are refused in one go, before others get their turn.
const STEPS_A_TURN: usize = 64;
/// Pause before accepting again when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The one path that is answered without the token: a probe of the orchestrator has none, and it says nothing.
const PROBE_PATH: &str = "/healthz";

struct Entry {
    connection: Connection<TcpStream>,
    slot: Option<Class>,
}

/// The state of the thread.
pub struct EventLoop {
    poll: Poll,
    listener: Option<TcpListener>,
    accept_at: Option<Instant>,
    connections: HashMap<usize, Entry>,
    unfinished: Vec<usize>,
    next_id: usize,
    workers: Workers,
    done: Receiver<Done>,
    routes: Arc<dyn Routes>,
    config: Arc<ServerConfig>,
    stop: Arc<Stop>,
}

impl EventLoop {
    /// Takes a listening socket. Errors: the system refuses to poll.
    pub fn new(
        mut listener: TcpListener,
        routes: Arc<dyn Routes>,
        config: Arc<ServerConfig>,
        stop: Arc<Stop>,
    ) -> io::Result<(EventLoop, Arc<Waker>)> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (send, done) = unbounded();
        let on_thread_start = config.on_thread_start;
        let context =
            Context { routes: routes.clone(), stop: stop.clone(), done: send, waker: waker.clone(), on_thread_start };
        let event_loop = EventLoop {
            poll,
            listener: Some(listener),
            accept_at: None,
            connections: HashMap::new(),
            unfinished: Vec::new(),
            next_id: FIRST_CONNECTION,
            workers: Workers::new(context, &config),
            done,
            routes,
            config,
            stop,
        };
        Ok((event_loop, waker))
    }

    /// Serves until the server stops, then lets the answers under way finish.
    pub fn run(mut self) {
        (self.config.on_thread_start)();
        let mut events = Events::with_capacity(256);
        while !self.stop.is_set() {
            self.turn(&mut events, LONGEST_SLEEP);
        }
        self.listener = None;
        self.accept_at = None;
        self.finish(&mut events);
    }

    fn turn(&mut self, events: &mut Events, longest: Duration) {
        let sleep = self.sleep(Instant::now()).min(longest);
        if self.poll.poll(events, Some(sleep)).is_err() {
            // Interrupted by a signal: the next turn polls again. Anything else would repeat, so it must not spin.
            self.stop.wait(Duration::from_millis(1));
            events.clear();
        }
        let now = Instant::now();
        std::mem::take(&mut self.unfinished).into_iter().for_each(|id| self.advance(id, now));
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accept_at = Some(now),
                WAKER => {}
                Token(id) => self.advance(id, now),
            }
        }
        self.take_done(now);
        if self.accept_at.is_some_and(|at| at <= now) {
            self.accept(now);
        }
        self.expire(now);
    }

    fn sleep(&self, now: Instant) -> Duration {
        if !self.unfinished.is_empty() {
            return Duration::ZERO;
        }
        let deadlines = self.connections.values().map(|entry| entry.connection.deadline());
        let next = deadlines.chain(self.accept_at).min();
        next.map_or(LONGEST_SLEEP, |next| next.saturating_duration_since(now))
    }

    fn take_done(&mut self, now: Instant) {
        while let Ok(mut done) = self.done.try_recv() {
            self.workers.made(done.class);
            if !self.has_room_for(done.bytes.len()) {
                done.bytes = final_answer(Response::busy(503, "too many large answers wait for slow readers"));
                done.keep_alive = false;
            }
            match self.connections.get_mut(&done.connection).filter(|entry| entry.connection.is_answering()) {
                Some(entry) => {
                    entry.connection.answer(done.bytes, done.keep_alive, now, &self.config);
                    self.advance(done.connection, now);
                }
                None => self.workers.release(done.class),
            }
        }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        let unwritten: usize = self.connections.values().map(|entry| entry.connection.unwritten_bytes()).sum();
        bytes <= self.config.unwritten_bound_bytes.saturating_sub(unwritten)
    }

    /// Goes on with a connection until it has to wait, ends, or has had its turn.
    fn advance(&mut self, id: usize, now: Instant) {
        for _ in 0..STEPS_A_TURN {
            let Some(entry) = self.connections.get_mut(&id) else { return };
            match entry.connection.advance(now, &self.config) {
                Step::Wait => return,
                Step::Close => return self.close(id),
                Step::Written => self.release(id),
                Step::Ask(parsed) => self.ask(id, *parsed, now),
            }
        }
        self.unfinished.push(id);
    }

    fn release(&mut self, id: usize) {
        if let Some(class) = self.connections.get_mut(&id).and_then(|entry| entry.slot.take()) {
            self.workers.release(class);
        }
    }

    /// A slot whose answer is still being made is released when that answer comes.
    fn close(&mut self, id: usize) {
        let Some(mut entry) = self.connections.remove(&id) else { return };
        // It fails only for a socket that is not registered.
        let _ = self.poll.registry().deregister(entry.connection.stream_mut());
        if let Some(class) = entry.slot.filter(|_| !entry.connection.is_answering()) {
            self.workers.release(class);
        }
    }

    fn ask(&mut self, id: usize, parsed: Parsed, now: Instant) {
        let class = self.authorized(&parsed).and_then(|request| self.class_of(request));
        let submitted = class.and_then(|(request, class)| {
            let Parsed { head_only, keep_alive, gzip, .. } = parsed;
            let delivery = Delivery { head_only, keep_alive, gzip, bound_bytes: self.config.answer_bound_bytes };
            self.workers.submit(Job { connection: id, class, request, delivery })?;
            Ok(class)
        });
        let Some(entry) = self.connections.get_mut(&id) else { return };
        match submitted {
            Ok(class) => {
                entry.slot = Some(class);
                entry.connection.await_answer(now, answer_time(&self.config, class));
            }
            Err(refusal) => entry.connection.answer_to(&parsed, refusal, now, &self.config),
        }
    }

    fn authorized(&self, parsed: &Parsed) -> Result<Request, Response> {
        let is_probe = parsed.request.as_ref().is_ok_and(|request| request.target.path == PROBE_PATH);
        let allows = |token: &super::token::Token| token.allows(parsed.authorization.as_deref());
        if is_probe || self.config.token.as_ref().is_none_or(allows) {
            return parsed.request.clone();
        }
        Err(Response::error(401, "a bearer token is needed").with("WWW-Authenticate", "Bearer"))
    }

    fn class_of(&self, request: Request) -> Result<(Request, Class), Response> {
        let class = self.routes.class(&request);
        match class {
            Class::Wait(time) if time > self.config.wait_bound => {
                let bound = self.config.wait_bound.as_secs();
                Err(Response::error(400, format!("`seconds` is at most {bound}")))
            }
            class => Ok((request, class)),
        }
    }

    /// The poll tells of new connections once, so they are taken until there is none, over several turns if need be.
    fn accept(&mut self, now: Instant) {
        self.accept_at = Some(now);
        for _ in 0..ACCEPTS_A_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.accept_at = None;
                    return;
                }
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => {
                    self.close_idlest();
                    self.accept_at = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, now: Instant) {
        if self.connections.len() >= self.config.connections_bound && !self.close_idlest() {
            return refuse(stream);
        }
        // Without it a short answer can wait for an acknowledgement; slower is all that a failure means.
        let _ = stream.set_nodelay(true);
        let id = self.next_id;
        self.next_id += 1;
        let mut connection = Connection::new(stream, now, &self.config);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(connection.stream_mut(), Token(id), interest).is_ok() {
            self.connections.insert(id, Entry { connection, slot: None });
            self.advance(id, now);
        }
    }

    /// Makes room: the connection that has gone longest without a request under way is closed.
    fn close_idlest(&mut self) -> bool {
        let idle = self.connections.iter().filter_map(|(id, entry)| Some((entry.connection.idle_since()?, *id)));
        let idlest = idle.min();
        if let Some((_, id)) = idlest {
            self.close(id);
        }
        idlest.is_some()
    }

    fn expire(&mut self, now: Instant) {
        let due = |(id, entry): (&usize, &Entry)| (entry.connection.deadline() <= now).then_some(*id);
        let due: Vec<usize> = self.connections.iter().filter_map(due).collect();
        for id in due {
            self.expire_one(id, now);
        }
    }

    fn expire_one(&mut self, id: usize, now: Instant) {
        let Some(entry) = self.connections.get_mut(&id) else { return };
        if entry.connection.is_answering() {
            // The worker goes on; what it makes finds nobody, and frees the slot then.
            entry.slot = None;
        }
        match entry.connection.expire(now, &self.config) {
            Step::Close => self.close(id),
            Step::Written => {
                self.release(id);
                self.advance(id, now);
            }
            Step::Wait | Step::Ask(_) => {}
        }
    }

    /// Closes what is idle, waits for what is under way as long as the grace lasts, then for the workers to end.
    fn finish(mut self, events: &mut Events) {
        let end = Instant::now() + self.config.stop_grace;
        loop {
            let idle = |(id, entry): (&usize, &Entry)| entry.connection.idle_since().is_some().then_some(*id);
            let idle: Vec<usize> = self.connections.iter().filter_map(idle).collect();
            idle.into_iter().for_each(|id| self.close(id));
            let left = end.saturating_duration_since(Instant::now());
            if self.connections.is_empty() || left.is_zero() {
                break;
            }
            self.turn(events, left);
        }
        drop(self.workers);
        while !matches!(self.done.recv_deadline(end), Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout)) {
        }
    }
}

fn answer_time(config: &ServerConfig, class: Class) -> Duration {
    match class {
        Class::Wait(time) => time + config.answer_timeout,
        Class::Probe | Class::Light | Class::Dump => config.answer_timeout,
    }
}

/// All connections are busy. One write, whether it arrives or not.
fn refuse(mut stream: TcpStream) {
    let _ = stream.write(&final_answer(Response::busy(503, "too many connections are busy")));
}

fn final_answer(response: Response) -> Vec<u8> {
    encode(response, Delivery { head_only: false, keep_alive: false, gzip: false, bound_bytes: usize::MAX })
}
