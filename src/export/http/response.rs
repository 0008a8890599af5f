//! An answer, and its bytes on the wire.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bodies below this are sent as they are: compressing would not make them shorter.
const GZIP_FROM_BYTES: usize = 1024;

/// An answer. The server adds length, date, encoding and what the connection does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The whole body.
    pub body: Vec<u8>,
    /// Further headers; values have no line ends.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    /// 200 with a body.
    pub fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response { status: 200, content_type, body: body.into(), headers: Vec::new() }
    }

    /// An error with a sentence for a human.
    pub fn error(status: u16, sentence: impl Into<String>) -> Response {
        let mut body = sentence.into();
        body.push('\n');
        Response { status, content_type: TEXT, body: body.into_bytes(), headers: Vec::new() }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Response {
        self.headers.push((name, value));
        self
    }

    /// Too much is going on; the client should come again in a moment.
    pub fn busy(status: u16, sentence: &str) -> Response {
        Response::error(status, sentence).with("Retry-After", "1")
    }
}

/// How an answer is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Answer to HEAD: the headers of the whole answer and no body.
    pub head_only: bool,
    /// Whether the connection stays open afterwards.
    pub keep_alive: bool,
    /// Whether the body may be compressed.
    pub gzip: bool,
    /// The largest body, after compression.
    pub bound_bytes: usize,
}

/// The whole answer in bytes.
pub fn encode(mut response: Response, delivery: Delivery) -> Vec<u8> {
    let compressed = delivery.gzip.then(|| compress(&response)).flatten();
    let is_gzip = compressed.is_some();
    if let Some(body) = compressed {
        response.body = body;
    }
    if response.body.len() > delivery.bound_bytes {
        let sentence = format!("the answer is larger than the bound of {} bytes", delivery.bound_bytes);
        return encode(Response::error(500, sentence), Delivery { gzip: false, bound_bytes: usize::MAX, ..delivery });
    }
    let mut out = head(&response, delivery.keep_alive, is_gzip).into_bytes();
    if !delivery.head_only {
        out.extend_from_slice(&response.body);
    }
    out
}

/// `None`: the type is compressed already, or compressing gains nothing.
fn compress(response: &Response) -> Option<Vec<u8>> {
    let is_text = ["text/", "application/json", "application/openmetrics-text", "image/svg+xml"]
        .iter()
        .any(|kind| response.content_type.starts_with(kind));
    if !is_text || response.body.len() < GZIP_FROM_BYTES {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(response.body.len() / 4), Compression::fast());
    encoder.write_all(&response.body).ok()?;
    encoder.finish().ok().filter(|body| body.len() < response.body.len())
}

fn head(response: &Response, keep_alive: bool, is_gzip: bool) -> String {
    let mut head = format!(
        "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        response.status,
        reason(response.status),
        date(),
        response.content_type,
        response.body.len()
    );
    head.push_str("Cache-Control: no-store\r\nVary: Accept, Accept-Encoding\r\nX-Content-Type-Options: nosniff\r\n");
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if is_gzip {
        head.push_str("Content-Encoding: gzip\r\n");
    }
    head.push_str(if keep_alive { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" });
    head
}

fn date() -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&jiff::Timestamp::now()).unwrap_or_default()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const PLAIN: Delivery = Delivery { head_only: false, keep_alive: true, gzip: false, bound_bytes: 1 << 20 };

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_head_answer_has_the_length_and_no_body() {
        let response = Response::ok(TEXT, "hello");
        let full = text(&encode(response.clone(), PLAIN));
        let head = text(&encode(response, Delivery { head_only: true, keep_alive: false, ..PLAIN }));
        assert!(full.starts_with("HTTP/1.1 200 OK\r\n") && full.ends_with("\r\nConnection: keep-alive\r\n\r\nhello"));
        assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("Connection: close\r\n\r\n"));
    }

    #[test]
    fn text_is_compressed_and_profiles_are_not() {
        let body = "metric 1\n".repeat(1000);
        let gzip = Delivery { gzip: true, ..PLAIN };
        let out = encode(Response::ok(TEXT, body.clone()), gzip);
        let split = out.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert!(text(&out[..split]).contains("Content-Encoding: gzip\r\n"));
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&out[split..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, body);
        let profile = encode(Response::ok("application/octet-stream", body.clone()), gzip);
        assert!(profile.ends_with(body.as_bytes()));
        assert!(!text(&encode(Response::ok(TEXT, "short"), gzip)).contains("gzip"));
    }

    #[test]
    fn an_answer_beyond_the_bound_is_an_error() {
        let out = text(&encode(Response::ok(TEXT, vec![b'x'; 101]), Delivery { bound_bytes: 100, ..PLAIN }));
        assert!(out.starts_with("HTTP/1.1 500 ") && out.contains("bound of 100 bytes"), "{out}");
    }

    #[test]
    fn the_date_has_the_form_of_http() {
        let date = date();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    }
}
