//! Reads the endpoints of a live process: one GET, with a time limit, a bound on the answer and an optional token.
//!
//! The peer is not trusted: an answer that is too long, cut off or of another form is an error that names the address. Nothing
//! is asked twice, as a person or a loop stands behind each question; redirects are not followed, so the token stays where it was meant for.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;

use crate::analyze::series::Series;
use crate::error::{Error, Result};

/// The longest answer that is read. Reports list a bounded number of sites, and a heap profile has some megabytes.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// A live process that serves heapwatch's endpoints.
pub struct Endpoint {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

/// Which memory of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Memory {
    /// Exact live bytes of the wrapped allocator: what the code holds.
    #[default]
    Heap,
    /// Resident set.
    Rss,
    /// What counts against the limit.
    Usage,
}

/// The part of `heapwatch.snapshot/1` that is a series; null where something could not be read.
#[derive(Deserialize)]
struct Document {
    history: History,
}

#[derive(Deserialize)]
struct History {
    times_s: Vec<f64>,
    heap_live_bytes: Vec<Option<f64>>,
    rss_bytes: Vec<Option<f64>>,
    usage_bytes: Vec<Option<f64>>,
}

impl Endpoint {
    /// The process at `url`, such as `http://127.0.0.1:8001`; `timeout` bounds each answer (the process itself waits up to
    /// 10 s for its collector), `token` is sent as bearer token. Errors: no http address, a time limit of 0, a token that cannot stand in a header.
    pub fn new(url: &str, token: Option<&str>, timeout: Duration) -> Result<Endpoint> {
        let known = url.starts_with("http://") || (cfg!(feature = "tls") && url.starts_with("https://"));
        if !known {
            return Err(Error::config(format!(
                "`{url}` is no http:// address (https needs a build with feature `tls`)"
            )));
        }
        if timeout.is_zero() {
            return Err(Error::config("the time limit must not be 0"));
        }
        let token = token.map(str::trim).filter(|t| !t.is_empty());
        if token.is_some_and(|t| !t.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::config("the token has characters that cannot be sent in a header"));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false);
        Ok(Endpoint {
            agent: config.build().into(),
            base: url.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned),
        })
    }

    /// The address that errors name.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The body at `path`, which begins with `/` or is empty. Errors: no connection, no answer in time, another status than
    /// 200, more than 64 MiB, an answer that breaks off.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let address = format!("{}{path}", self.base);
        let mut request = self.agent.get(&address);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|e| unreachable(&address, e))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let read = response.body_mut().as_reader().take(MAX_BODY_BYTES + 1).read_to_end(&mut body);
        read.map_err(|e| Error::io(format!("{address}: the answer broke off; try again")).because(e))?;
        if status != 200 {
            return Err(refused(&address, status, &body));
        }
        if body.len() as u64 > MAX_BODY_BYTES {
            return Err(Error::input(format!(
                "{address}: the answer is longer than {MAX_BODY_BYTES} bytes; is this heapwatch?"
            )));
        }
        Ok(body)
    }

    /// As [`get`](Endpoint::get), as text.
    pub fn text(&self, path: &str) -> Result<String> {
        let not_text = |e| Error::input(format!("{}{path}: the answer is no text", self.base)).because(e);
        String::from_utf8(self.get(path)?).map_err(not_text)
    }

    /// The process over time, as far back as it remembers. Errors: as [`get`](Endpoint::get); an answer without a history.
    pub fn history(&self, memory: Memory) -> Result<Series> {
        let text = self.text("/api/debug/memory/snapshot?top=0")?;
        history(&text, memory).map_err(|e| {
            Error::input(format!(
                "{}: no history in the answer; is the process's heapwatch older than this one?",
                self.base
            ))
            .because(e)
        })
    }
}

fn history(snapshot: &str, memory: Memory) -> serde_json::Result<Series> {
    let History { times_s, heap_live_bytes, rss_bytes, usage_bytes } =
        serde_json::from_str::<Document>(snapshot)?.history;
    let column = match memory {
        Memory::Heap => heap_live_bytes,
        Memory::Rss => rss_bytes,
        Memory::Usage => usage_bytes,
    };
    let values: Vec<f64> = column.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    let rows = times_s.len().min(values.len());
    let (times_s, values) = (times_s.into_iter().take(rows).collect(), values.into_iter().take(rows).collect());
    Ok(Series::repaired(times_s, values, None))
}

fn unreachable(address: &str, cause: ureq::Error) -> Error {
    let what = match &cause {
        ureq::Error::Timeout(_) => "no answer in time; allow more with --timeout",
        _ => "cannot be reached; does the process run, and does it serve there?",
    };
    Error::io(format!("{address}: {what}")).because(cause)
}

fn refused(address: &str, status: u16, body: &[u8]) -> Error {
    let said = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
    let said = said.lines().next().unwrap_or("").trim();
    let advice = match status {
        401 | 403 => "; give --token-file",
        404 => "; is this the address of a process that serves heapwatch's endpoints?",
        429 | 503 => "; try again",
        _ => "",
    };
    Error::io(format!("{address} answers {status} {said}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_may_have_holes_and_columns_of_unequal_length() {
        let text =
            r#"{"history":{"times_s":[1.0,2.0,3.0],"heap_live_bytes":[5,6,7],"rss_bytes":[null,8],"usage_bytes":[]}}"#;
        let read = |memory| history(text, memory).map(|s| s.values().to_vec()).unwrap();
        assert_eq!(read(Memory::Heap), [5.0, 6.0, 7.0]);
        assert_eq!(read(Memory::Rss), [8.0]);
        assert!(read(Memory::Usage).is_empty());
        assert!(history("{}", Memory::Heap).is_err());
    }

    #[test]
    fn addresses_and_tokens_that_cannot_work_are_refused_before_anything_is_sent() {
        let refusal = |url, token, timeout| Endpoint::new(url, token, timeout).err().unwrap().to_string();
        let second = Duration::from_secs(1);
        assert!(refusal("ftp://x", None, second).contains("ftp://x"));
        assert!(refusal("http://x", Some("a\nb"), second).contains("token"));
        assert!(refusal("http://x", None, Duration::ZERO).contains("time limit"));
    }
}
