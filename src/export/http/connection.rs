//! One connection: reads a request, has it answered, writes the answer, and again.
//!
//! ```text
//! Reading ──request──▶ Answering ──answer──▶ Writing ──kept alive──▶ Reading
//!    └──────────refused────────────────────────▲  └──else──▶ Lingering ──▶ closed
//! ```
//! One request is under way at a time; further ones wait in the buffer or in the kernel, so a client that sends without
//! end fills its own window. Every phase has a deadline that nothing the client sends can move. A connection is not
//! closed with unread bytes in it (that would destroy the answer on its way): it lingers, discarding, for a moment.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::config::ServerConfig;
use super::request::{self, Outcome, Parsed};
use super::response::{Delivery, Response, encode};

const CHUNK_BYTES: usize = 4096;
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BOUND_BYTES: usize = 1 << 20;

/// A socket that can say that nothing more will be written.
pub trait Stream: Read + Write {
    /// Ends our direction.
    fn end_writing(&self);
}

impl Stream for mio::net::TcpStream {
    fn end_writing(&self) {
        // A peer that is gone already makes this fail, which is as good.
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

#[derive(Debug)]
enum Phase {
    Reading,
    Answering,
    Writing { bytes: Vec<u8>, written: usize, keep_alive: bool },
    Lingering { discarded: usize },
}

/// What the event loop has to do next.
#[derive(Debug)]
pub enum Step {
    /// Nothing until the socket is ready or the deadline passes.
    Wait,
    /// Have this answered, then call [`Connection::answer`].
    Ask(Box<Parsed>),
    /// The answer is out of our hands; its slot is free.
    Written,
    /// Drop the connection.
    Close,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    input: Vec<u8>,
    phase: Phase,
    deadline: Instant,
    idle_since: Instant,
}

impl<S: Stream> Connection<S> {
    /// A fresh connection.
    pub fn new(stream: S, now: Instant, config: &ServerConfig) -> Connection<S> {
        let deadline = now + config.idle_timeout;
        Connection { stream, input: Vec::new(), phase: Phase::Reading, deadline, idle_since: now }
    }

    /// The socket, to take it out of the poll.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// When [`expire`](Self::expire) is due.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Since when it has had no request under way; `None` while it has.
    pub fn idle_since(&self) -> Option<Instant> {
        matches!(self.phase, Phase::Reading).then_some(self.idle_since)
    }

    /// Whether a worker makes its answer.
    pub fn is_answering(&self) -> bool {
        matches!(self.phase, Phase::Answering)
    }

    /// Bytes of an answer that the socket has not taken yet.
    pub fn unwritten_bytes(&self) -> usize {
        match &self.phase {
            Phase::Writing { bytes, written, .. } => bytes.len() - written,
            Phase::Reading | Phase::Answering | Phase::Lingering { .. } => 0,
        }
    }

    /// Goes as far as the socket allows.
    pub fn advance(&mut self, now: Instant, config: &ServerConfig) -> Step {
        loop {
            let step = match self.phase {
                Phase::Reading => self.read_request(now, config),
                Phase::Answering => Some(Step::Wait),
                Phase::Writing { .. } => self.write_some(now, config),
                Phase::Lingering { .. } => Some(self.discard()),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// `None`: the phase has changed.
    fn read_request(&mut self, now: Instant, config: &ServerConfig) -> Option<Step> {
        match request::parse(&self.input, config) {
            Outcome::Complete(parsed) => {
                self.input.drain(..parsed.length);
                self.phase = Phase::Answering;
                Some(Step::Ask(parsed))
            }
            Outcome::Refused(response) => {
                self.answer_now(response, false, now, config);
                None
            }
            Outcome::Incomplete => self.read_more(now, config),
        }
    }

    fn read_more(&mut self, now: Instant, config: &ServerConfig) -> Option<Step> {
        let mut chunk = [0; CHUNK_BYTES];
        match self.stream.read(&mut chunk) {
            Ok(0) => Some(Step::Close),
            Ok(n) => {
                if self.input.is_empty() {
                    self.deadline = now + config.read_timeout;
                }
                self.input.extend_from_slice(chunk.get(..n).unwrap_or(&chunk));
                None
            }
            Err(e) => waits(&e),
        }
    }

    /// Leaves time to a worker.
    pub fn await_answer(&mut self, now: Instant, time: Duration) {
        self.deadline = now + time;
    }

    /// Begins to write an answer made by a worker.
    pub fn answer(&mut self, bytes: Vec<u8>, keep_alive: bool, now: Instant, config: &ServerConfig) {
        self.deadline = now + config.write_time(bytes.len());
        self.phase = Phase::Writing { bytes, written: 0, keep_alive };
    }

    /// Begins to write a short answer of the server itself, without body where the request was HEAD.
    pub fn answer_to(&mut self, parsed: &Parsed, response: Response, now: Instant, config: &ServerConfig) {
        self.write_plain(response, parsed.keep_alive, parsed.head_only, now, config);
    }

    fn answer_now(&mut self, response: Response, keep_alive: bool, now: Instant, config: &ServerConfig) {
        self.write_plain(response, keep_alive, false, now, config);
    }

    fn write_plain(
        &mut self,
        response: Response,
        keep_alive: bool,
        head_only: bool,
        now: Instant,
        config: &ServerConfig,
    ) {
        let delivery = Delivery { head_only, keep_alive, gzip: false, bound_bytes: config.answer_bound_bytes };
        self.answer(encode(response, delivery), keep_alive, now, config);
    }

    fn write_some(&mut self, now: Instant, config: &ServerConfig) -> Option<Step> {
        let Phase::Writing { bytes, written, keep_alive } = &mut self.phase else { return None };
        let rest = bytes.get(*written..).unwrap_or_default();
        if rest.is_empty() {
            let keep_alive = *keep_alive;
            self.finish_answer(keep_alive, now, config);
            return Some(Step::Written);
        }
        match self.stream.write(rest) {
            Ok(0) => Some(Step::Close),
            Ok(n) => {
                *written += n;
                None
            }
            Err(e) => waits(&e),
        }
    }

    fn finish_answer(&mut self, keep_alive: bool, now: Instant, config: &ServerConfig) {
        if keep_alive {
            let time = if self.input.is_empty() { config.idle_timeout } else { config.read_timeout };
            self.phase = Phase::Reading;
            self.idle_since = now;
            self.deadline = now + time;
        } else {
            self.stream.end_writing();
            self.input = Vec::new();
            self.phase = Phase::Lingering { discarded: 0 };
            self.deadline = now + LINGER_TIME;
        }
    }

    fn discard(&mut self) -> Step {
        let Phase::Lingering { discarded } = &mut self.phase else { return Step::Wait };
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Step::Close,
                Ok(n) => *discarded += n,
                Err(e) => match waits(&e) {
                    Some(step) => return step,
                    None => continue,
                },
            }
            if *discarded > LINGER_BOUND_BYTES {
                return Step::Close;
            }
        }
    }

    /// The deadline has passed. A client in the middle of a request, or waiting for an answer, is told.
    pub fn expire(&mut self, now: Instant, config: &ServerConfig) -> Step {
        match self.phase {
            Phase::Reading if !self.input.is_empty() => {
                self.answer_now(Response::error(408, "the request did not arrive in time"), false, now, config);
                self.advance(now, config)
            }
            Phase::Answering => {
                self.answer_now(Response::busy(503, "the answer was not ready in time"), false, now, config);
                self.advance(now, config)
            }
            Phase::Reading | Phase::Writing { .. } | Phase::Lingering { .. } => Step::Close,
        }
    }
}

/// `None`: try again at once.
fn waits(error: &io::Error) -> Option<Step> {
    match error.kind() {
        ErrorKind::WouldBlock => Some(Step::Wait),
        ErrorKind::Interrupted => None,
        _ => Some(Step::Close),
    }
}
