//! From the bytes of a connection to a request, within bounds.
//!
//! Only GET and HEAD without a body come through. Whatever could make two readers disagree about where a request ends
//! (a length, a transfer encoding, two hosts) is refused and the connection closed.

use super::config::ServerConfig;
use super::negotiate;
use super::response::Response;
use super::target::{self, BadTarget, Target};

/// Headers beyond this many are refused.
const HEADERS_BOUND: usize = 64;

/// A request, as [`Routes`](super::Routes) sees it. It carries no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub target: Target,
    /// The client's `Accept` header.
    pub accept: Option<String>,
}

impl Request {
    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.target.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A whole request at the start of the buffer.
#[derive(Debug)]
pub struct Parsed {
    /// The request, or the answer to a target that can name nothing.
    pub request: Result<Request, Response>,
    /// Bytes of the buffer that it takes.
    pub length: usize,
    /// HEAD.
    pub head_only: bool,
    /// Whether the client wants to go on with the connection.
    pub keep_alive: bool,
    /// Whether the body may be compressed.
    pub gzip: bool,
    /// The `Authorization` header.
    pub authorization: Option<Vec<u8>>,
}

/// What stands at the start of a buffer.
#[derive(Debug)]
pub enum Outcome {
    /// Not yet a whole request.
    Incomplete,
    /// A request.
    Complete(Box<Parsed>),
    /// No request of ours; the connection closes after this answer.
    Refused(Response),
}

/// Reads the first request in `buffer`.
pub fn parse(buffer: &[u8], config: &ServerConfig) -> Outcome {
    if line_is_too_long(buffer, config.line_bound_bytes) {
        return Outcome::Refused(Response::error(414, "the request line is too long"));
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_BOUND];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(buffer) {
        Ok(httparse::Status::Complete(length)) if length <= config.head_bound_bytes => complete(&head, length),
        Ok(httparse::Status::Partial) if buffer.len() < config.head_bound_bytes => Outcome::Incomplete,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            Outcome::Refused(Response::error(431, "the headers are too many or too long"))
        }
        Err(httparse::Error::Version) => Outcome::Refused(Response::error(505, "only HTTP/1.0 and HTTP/1.1")),
        Err(e) => Outcome::Refused(Response::error(400, format!("no HTTP request: {e}"))),
    }
}

fn line_is_too_long(buffer: &[u8], bound: usize) -> bool {
    let start = buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let line = buffer.iter().skip(start).take(bound + 1).take_while(|&&b| b != b'\n').count();
    line > bound
}

fn complete(head: &httparse::Request<'_, '_>, length: usize) -> Outcome {
    if !matches!(head.method, Some("GET" | "HEAD")) {
        return Outcome::Refused(Response::error(405, "only GET and HEAD").with("Allow", "GET, HEAD"));
    }
    if let Err(refusal) = check_framing(head) {
        return Outcome::Refused(refusal);
    }
    let request = match target::parse(head.path.unwrap_or("")) {
        Ok(target) => Ok(Request { target, accept: text(head, "accept") }),
        Err(BadTarget::NotFound) => Err(Response::error(404, "no such path")),
        Err(BadTarget::Malformed) => return Outcome::Refused(Response::error(400, "the target is malformed")),
    };
    Outcome::Complete(Box::new(Parsed {
        request,
        length,
        head_only: head.method == Some("HEAD"),
        keep_alive: keep_alive(head),
        gzip: negotiate::accepts_gzip(text(head, "accept-encoding").as_deref()),
        authorization: values(head, "authorization").next().map(<[u8]>::to_vec),
    }))
}

fn check_framing(head: &httparse::Request<'_, '_>) -> Result<(), Response> {
    let has_length = values(head, "content-length").any(|value| value.trim_ascii() != b"0");
    if has_length || values(head, "transfer-encoding").next().is_some() {
        return Err(Response::error(413, "a request here has no body"));
    }
    match (values(head, "host").count(), head.version) {
        (1, _) | (0, Some(0)) => Ok(()),
        _ => Err(Response::error(400, "there must be one Host header")),
    }
}

fn keep_alive(head: &httparse::Request<'_, '_>) -> bool {
    let connection = text(head, "connection").unwrap_or_default();
    let says = |option: &str| connection.split(',').any(|o| o.trim().eq_ignore_ascii_case(option));
    if head.version == Some(0) { says("keep-alive") && !says("close") } else { !says("close") }
}

fn values<'a>(head: &'a httparse::Request<'_, '_>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    head.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// All values of a list header, joined; `None` without any.
fn text(head: &httparse::Request<'_, '_>, name: &str) -> Option<String> {
    let parts: Vec<_> = values(head, name).map(String::from_utf8_lossy).collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ServerConfig {
        ServerConfig::new(":0").unwrap()
    }

    fn status(bytes: &[u8]) -> Option<u16> {
        match parse(bytes, &config()) {
            Outcome::Incomplete => None,
            Outcome::Complete(parsed) => Some(parsed.request.map_or_else(|r| r.status, |_| 200)),
            Outcome::Refused(response) => Some(response.status),
        }
    }

    fn whole(text: &str) -> Parsed {
        match parse(text.as_bytes(), &config()) {
            Outcome::Complete(parsed) => *parsed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_ends_where_the_next_begins() {
        let first = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nAuthorization: Bearer t\r\n\r\n";
        let parsed = whole(&format!("{first}GET / HTTP/1.1\r\n"));
        assert_eq!((parsed.length, parsed.head_only, parsed.keep_alive), (first.len(), false, true));
        let request = parsed.request.unwrap();
        assert_eq!((request.target.path.as_str(), request.parameter("x")), ("/metrics", Some("1")));
        assert_eq!(request.accept.as_deref(), Some("*/*"));
        assert_eq!(parsed.authorization.as_deref(), Some(&b"Bearer t"[..]));
        for cut in 0..first.len() {
            assert_eq!(status(&first.as_bytes()[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn connections_are_kept_as_each_version_says() {
        let keeps = |version: &str, connection: &str| {
            whole(&format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n")).keep_alive
        };
        assert!(keeps("1.1", "") && keeps("1.1", "upgrade") && keeps("1.0", "Keep-Alive"));
        assert!(!keeps("1.1", "x, Close") && !keeps("1.0", "") && !keeps("1.0", "keep-alive, close"));
    }

    #[test]
    fn what_is_refused_and_how() {
        let long = "x".repeat(5000);
        let many = "X: y\r\n".repeat(65);
        for (request, want) in [
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200),
            ("GET / HTTP/1.0\r\n\r\n", 200),
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 404),
            ("GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", 400),
            (&format!("GET /{long}"), 414),
            (&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
            (&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
            (&format!("GET / HTTP/1.1\r\nX: {}", long.repeat(4)), 431),
            (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long.repeat(4)), 431),
            (&"\r\n".repeat(20_000), 431),
        ] {
            assert_eq!(status(request.as_bytes()), Some(want), "{:.60}", request);
        }
    }

    /// 20,000 seeded mutations of a request: whatever comes, the parser answers, and never takes more than there is.
    #[test]
    fn no_mutation_of_a_request_makes_the_parser_panic() {
        let mut state = 4u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below.max(1)
        };
        let seed = b"GET /debug/pprof/heap?seconds=%35&a=b+c HTTP/1.1\r\nHost: a\r\nAccept: text/plain;q=0.5\r\n\r\n";
        for _ in 0..20_000 {
            let mut bytes = seed.to_vec();
            for _ in 0..=random(5) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes.truncate(at),
                    1 => bytes.extend_from_within(at..),
                    _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random(256) as u8),
                }
            }
            match parse(&bytes, &config()) {
                Outcome::Complete(parsed) => {
                    assert!(parsed.length <= bytes.len());
                    assert!(parsed.request.is_err() || parsed.request.unwrap().target.path.starts_with('/'));
                }
                Outcome::Refused(response) => assert!(response.status >= 400),
                Outcome::Incomplete => assert!(bytes.len() < config().head_bound_bytes),
            }
        }
    }
}
