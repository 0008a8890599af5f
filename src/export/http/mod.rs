//! A small HTTP server for the debug endpoints: one thread that waits for all sockets, a few workers that make answers.
//!
//! It exists so that a library user gets the endpoints without an async runtime, and so that a debug port cannot hurt
//! the service: every connection, header, wait, dump, answer and write is bounded in number, bytes and time. GET and
//! HEAD only; no body is ever read. It does not speak TLS or HTTP/2: a proxy in front does.

pub mod config;
mod connection;
mod event_loop;
pub mod negotiate;
pub mod request;
pub mod response;
pub mod routes;
pub mod stop;
pub mod target;
pub mod token;
mod workers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use mio::Waker;
use mio::net::TcpListener;

pub use self::config::ServerConfig;
use self::event_loop::EventLoop;
pub use self::request::Request;
pub use self::response::Response;
pub use self::routes::{Source, SourceRoutes};
pub use self::stop::Stop;
pub use self::token::Token;
pub use self::workers::Class;
use crate::error::{Error, Result};

/// Makes the answers.
pub trait Routes: Send + Sync {
    /// How long the answer to a request will take. Called on the thread that waits for all sockets: must be quick.
    fn class(&self, request: &Request) -> Class;

    /// The answer, made on a worker. A long wait in it listens to `stop`.
    fn answer(&self, request: &Request, stop: &Stop) -> Response;
}

/// A running server. Dropping it stops it.
pub struct Server {
    address: SocketAddr,
    stop: Arc<Stop>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    pid: u32,
}

impl Server {
    /// Listens and begins to serve. Warns on standard error when it is exposed beyond this machine without a token.
    /// Errors: a setting cannot work, the address is taken or not ours (`is_config`), or the system refuses sockets or threads (`is_io`).
    pub fn start(config: ServerConfig, routes: Arc<dyn Routes>) -> Result<Server> {
        config.check()?;
        let listener = TcpListener::bind(config.address).map_err(|e| cannot_bind(config.address, e))?;
        let refused = |e: io::Error| Error::io("cannot start the HTTP server").because(e);
        let address = listener.local_addr().map_err(refused)?;
        if config.is_exposed_without_token() {
            eprintln!("{}", exposed_warning(address));
        }
        let stop = Arc::new(Stop::default());
        let (event_loop, waker) = EventLoop::new(listener, routes, Arc::new(config), stop.clone()).map_err(refused)?;
        let thread = Builder::new().name("heapwatch-server".to_owned()).spawn(|| event_loop.run()).map_err(refused)?;
        Ok(Server { address, stop, waker, thread: Some(thread), pid: std::process::id() })
    }

    /// Where it listens, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further requests, lets answers under way finish within the grace, and ends the threads.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.pid != std::process::id() {
            // A forked child has the handle and not the thread: joining it would wait for ever, and the sockets are the
            // parent's to end.
            self.thread = None;
            return;
        }
        self.stop.set();
        // A failed wake-up delays the end to the next event or the longest sleep; nothing else is lost.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by then.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn cannot_bind(address: SocketAddr, error: io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use: choose another, 0 for any free one, or stop what listens there"
        }
        io::ErrorKind::PermissionDenied => "this port needs a privilege: choose one above 1023",
        io::ErrorKind::AddrNotAvailable => "the address is none of this machine's: use 127.0.0.1 or 0.0.0.0",
        _ => "the system refuses",
    };
    Error::config(format!("cannot serve on {address}: {advice}")).because(error)
}

fn exposed_warning(address: SocketAddr) -> String {
    format!(
        "heapwatch: warning: {address} can be reached from other machines and shows code and memory to everybody who \
         asks; set a token, or listen on 127.0.0.1"
    )
}

#[cfg(test)]
mod tests;
