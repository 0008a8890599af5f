//! Settings of the server: where it listens, who may ask, and every bound.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::token::Token;
use crate::error::{Error, Result};

/// Settings of [`Server`](super::Server). Everything that a client could make grow has a bound here.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen.
    pub address: SocketAddr,
    /// What a client must show for everything but `/healthz`. Default none: fit for loopback only, as the endpoints
    /// show code.
    pub token: Option<Token>,
    /// Called first on each thread of the server, so that its own allocations are not sampled. Default: nothing.
    pub on_thread_start: fn(),
    /// Open connections; each costs a descriptor and up to `head_bound_bytes`. At the bound the connection that has been
    /// idle longest makes room. Default 256.
    pub connections_bound: usize,
    /// Bytes of a request's line and headers. Default 16 KiB.
    pub head_bound_bytes: usize,
    /// Bytes of a request's line. Default 4 KiB.
    pub line_bound_bytes: usize,
    /// Bytes of an answer's body, as sent. Default 64 MiB.
    pub answer_bound_bytes: usize,
    /// Bytes of all answers that wait for slow readers; beyond, answers become 503. Default 128 MiB.
    pub unwritten_bound_bytes: usize,
    /// Time from the first byte of a request to its last header. Default 5 s.
    pub read_timeout: Duration,
    /// Time a connection may stay open between requests. Default 60 s.
    pub idle_timeout: Duration,
    /// Time to make an answer, not counting the wait that the client asked for. Default 30 s.
    pub answer_timeout: Duration,
    /// Time to write an answer, on top of what its bytes take at `slowest_bytes_per_second`. Default 10 s.
    pub write_timeout: Duration,
    /// A client that reads slower than this does not get a large answer to its end. Default 256 KiB.
    pub slowest_bytes_per_second: usize,
    /// Profiles and flame graphs being made or written at once; more are answered 429. Default 2.
    pub dumps_bound: usize,
    /// Requests that wait for `?seconds=N` at once, each on a thread; more are answered 429. Default 4.
    pub waits_bound: usize,
    /// The longest `?seconds=N`. Default 10 minutes.
    pub wait_bound: Duration,
    /// Time that [`Server::stop`](super::Server::stop) gives to answers under way. Default 2 s.
    pub stop_grace: Duration,
}

const LONGEST_TIME: Duration = Duration::from_secs(86_400);

impl ServerConfig {
    /// Takes `HOST:PORT`, or `:PORT` for loopback; port 0 takes any free one. Errors: it is no address, or the host
    /// is not known.
    pub fn new(address: &str) -> Result<ServerConfig> {
        Ok(ServerConfig::at(resolve(address)?))
    }

    /// The defaults at an address.
    pub fn at(address: SocketAddr) -> ServerConfig {
        ServerConfig {
            address,
            token: None,
            on_thread_start: || {},
            connections_bound: 256,
            head_bound_bytes: 16 << 10,
            line_bound_bytes: 4 << 10,
            answer_bound_bytes: 64 << 20,
            unwritten_bound_bytes: 128 << 20,
            read_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            slowest_bytes_per_second: 256 << 10,
            dumps_bound: 2,
            waits_bound: 4,
            wait_bound: Duration::from_secs(600),
            stop_grace: Duration::from_secs(2),
        }
    }

    /// Whether anybody who reaches the port may read everything.
    pub fn is_exposed_without_token(&self) -> bool {
        self.token.is_none() && !self.address.ip().is_loopback()
    }

    /// Errors: a bound that would let nothing through, or a time that is zero or beyond a day.
    pub(super) fn check(&self) -> Result<()> {
        let bounds = [
            ("connections_bound", self.connections_bound, 1),
            ("head_bound_bytes", self.head_bound_bytes, 256),
            ("line_bound_bytes", self.line_bound_bytes, 64),
            ("answer_bound_bytes", self.answer_bound_bytes, 1024),
            ("unwritten_bound_bytes", self.unwritten_bound_bytes, self.answer_bound_bytes),
            ("slowest_bytes_per_second", self.slowest_bytes_per_second, 1024),
        ];
        for (name, value, least) in bounds {
            if value < least {
                return Err(Error::config(format!("{name} of the HTTP server is {value}; the least is {least}")));
            }
        }
        let times = [
            ("read_timeout", self.read_timeout),
            ("idle_timeout", self.idle_timeout),
            ("answer_timeout", self.answer_timeout),
            ("write_timeout", self.write_timeout),
            ("wait_bound", self.wait_bound),
            ("stop_grace", self.stop_grace),
        ];
        match times.iter().find(|(_, time)| time.is_zero() || *time > LONGEST_TIME) {
            Some((name, time)) => Err(Error::config(format!(
                "{name} of the HTTP server is {time:?}; it must be above 0 and within a day"
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn write_time(&self, bytes: usize) -> Duration {
        self.write_timeout + Duration::from_secs((bytes / self.slowest_bytes_per_second.max(1)) as u64)
    }
}

fn resolve(address: &str) -> Result<SocketAddr> {
    if let Some(port) = address.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let expected = || format!("cannot serve on `{address}`: expected HOST:PORT, as in 127.0.0.1:8001");
    let mut found = address.to_socket_addrs().map_err(|e| Error::config(expected()).because(e))?;
    found.next().ok_or_else(|| Error::config(expected()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(ServerConfig::new(":8001").unwrap().address, "127.0.0.1:8001".parse().unwrap());
        assert_eq!(ServerConfig::new("[::1]:9").unwrap().address, "[::1]:9".parse().unwrap());
        assert!(!ServerConfig::new("127.9.9.9:1").unwrap().is_exposed_without_token());
        let mut open = ServerConfig::new("0.0.0.0:1").unwrap();
        assert!(open.is_exposed_without_token());
        open.token = Some(Token::new("t").unwrap());
        assert!(!open.is_exposed_without_token());
        let mut endless = ServerConfig::new(":0").unwrap();
        endless.idle_timeout = Duration::MAX;
        assert!(endless.check().unwrap_err().to_string().contains("idle_timeout"));
        assert!(ServerConfig::new(":0").unwrap().check().is_ok());
        for bad in ["", "8001", "127.0.0.1", "127.0.0.1:99999", "[::1"] {
            let e = ServerConfig::new(bad).unwrap_err();
            assert!(e.is_config() && e.to_string().contains("expected HOST:PORT"), "{bad}: {e}");
        }
    }
}
