//! Which path gives what: the table of endpoints over a [`Source`].

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::Routes;
use super::negotiate::wants_openmetrics;
use super::request::Request;
use super::response::{Response, TEXT};
use super::stop::Stop;
use super::workers::Class;
use crate::error::{Error, Result};
use crate::export::ProfileKind;

/// What the endpoints show. Each method may take its time, is called on a thread of the server, and may be called from
/// several at once, but for those that the server's bounds hold apart.
pub trait Source: Send + Sync {
    /// All metrics as text: OpenMetrics 1.0 or Prometheus 0.0.4.
    fn metrics_text(&self, openmetrics: bool) -> Result<String>;
    /// A heap profile: gzip `profile.proto`, or text where `request.debug`.
    fn heap_profile(&self, request: &ProfileRequest<'_>) -> Result<Vec<u8>>;
    /// Live bytes as folded stacks.
    fn collapsed(&self) -> Result<String>;
    /// Live bytes as an SVG. An error that `is_unsupported` where it is not built in.
    fn flamegraph(&self) -> Result<String>;
    /// Totals, ledger, limits, recorder health and the `top` largest sites.
    fn snapshot_json(&self, top: usize) -> Result<String>;
    /// What grows, since the start or over the last `since`.
    fn growth_json(&self, since: Option<Duration>) -> Result<String>;
    /// The leak report.
    fn leaks(&self, format: LeakFormat) -> Result<String>;
    /// Anomalies of this process.
    fn anomalies(&self) -> Result<String>;
    /// The forecast for this process.
    fn forecast(&self) -> Result<String>;
    /// The recommended request and limit for this process.
    fn recommendation(&self) -> Result<String>;
    /// Whether the collector ticks. Must not block: it is what a probe asks.
    fn healthy(&self) -> bool;
}

/// Which profile is asked for.
pub struct ProfileRequest<'a> {
    /// Which sample type is shown first.
    pub kind: ProfileKind,
    /// The profile is the difference over this wait, when there is one.
    pub over: Option<Wait<'a>>,
    /// Text for a human.
    pub debug: bool,
}

/// A wait that the client asked for.
pub struct Wait<'a> {
    time: Duration,
    stop: &'a Stop,
}

impl Wait<'_> {
    /// Waits. False: the server stops, and the time has not passed in full.
    pub fn wait(&self) -> bool {
        self.stop.wait(self.time)
    }

    /// How long it is.
    pub fn time(&self) -> Duration {
        self.time
    }
}

/// Form of the leak report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeakFormat {
    /// `heapwatch.report/1`.
    Json,
    /// One line a leak.
    Csv,
    /// For a human.
    Text,
}

const JSON: &str = "application/json";
const CSV: &str = "text/csv; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PROFILE: &str = "application/octet-stream";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const TOP_DEFAULT: usize = 20;
/// More sites than this are not shown at once.
pub const TOP_BOUND: usize = 1000;

/// An endpoint with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Index,
    Metrics { openmetrics: bool },
    Profile { kind: ProfileKind, over: Option<Duration>, debug: bool },
    Flamegraph,
    Collapsed,
    Snapshot { top: usize },
    Growth { since: Option<Duration> },
    Leaks { format: LeakFormat },
    Anomalies,
    Forecast,
    Recommendation,
    Health,
}

/// Paths and what they show, for the index.
const TABLE: [(&str, &str); 12] = [
    ("/metrics", "Prometheus text, OpenMetrics when Accept asks for it"),
    ("/debug/pprof/heap", "profile of live memory; ?seconds=N is a difference, ?debug=1 text"),
    ("/debug/pprof/allocs", "profile of all allocations; the same parameters"),
    ("/debug/pprof/heap/flamegraph", "SVG of live memory"),
    ("/debug/pprof/heap/collapsed", "folded stacks of live memory"),
    ("/api/debug/memory/snapshot", "totals, ledger, limits, health, top sites; ?top=20"),
    ("/api/debug/memory/growth", "what grows; ?since=15m"),
    ("/api/debug/memory/leaks", "the leak report; ?format=json|csv|text"),
    ("/api/debug/memory/anomalies", "anomalies of this process"),
    ("/api/debug/memory/forecast", "forecast for this process"),
    ("/api/debug/memory/recommendation", "recommended request and limit"),
    ("/healthz", "200 while the collector ticks"),
];

fn endpoint(request: &Request) -> Result<Endpoint, Response> {
    Ok(match request.target.path.as_str() {
        "/" => Endpoint::Index,
        "/metrics" => Endpoint::Metrics { openmetrics: wants_openmetrics(request.accept.as_deref()) },
        "/debug/pprof/heap" => profile(request, ProfileKind::Heap)?,
        "/debug/pprof/allocs" => profile(request, ProfileKind::Allocs)?,
        "/debug/pprof/heap/flamegraph" => Endpoint::Flamegraph,
        "/debug/pprof/heap/collapsed" => Endpoint::Collapsed,
        "/api/debug/memory/snapshot" => Endpoint::Snapshot { top: top(request)? },
        "/api/debug/memory/growth" => Endpoint::Growth { since: since(request)? },
        "/api/debug/memory/leaks" => Endpoint::Leaks { format: format(request)? },
        "/api/debug/memory/anomalies" => Endpoint::Anomalies,
        "/api/debug/memory/forecast" => Endpoint::Forecast,
        "/api/debug/memory/recommendation" => Endpoint::Recommendation,
        "/healthz" => Endpoint::Health,
        _ => return Err(Response::error(404, "no such path; / lists them")),
    })
}

fn profile(request: &Request, kind: ProfileKind) -> Result<Endpoint, Response> {
    let seconds: u64 = number(request, "seconds")?.unwrap_or(0);
    let debug: u64 = number(request, "debug")?.unwrap_or(0);
    let over = (seconds > 0).then(|| Duration::from_secs(seconds));
    Ok(Endpoint::Profile { kind, over, debug: debug > 0 })
}

fn number<T: std::str::FromStr>(request: &Request, name: &str) -> Result<Option<T>, Response> {
    let bad = |_| Response::error(400, format!("`{name}` must be a whole number"));
    request.parameter(name).map(|text| text.parse().map_err(bad)).transpose()
}

fn top(request: &Request) -> Result<usize, Response> {
    let top = number(request, "top")?.unwrap_or(TOP_DEFAULT);
    if top > TOP_BOUND { Err(Response::error(400, format!("`top` is at most {TOP_BOUND}"))) } else { Ok(top) }
}

fn since(request: &Request) -> Result<Option<Duration>, Response> {
    let bad = || Response::error(400, "`since` must be a duration such as 90s, 15m, 2h or 1d");
    request.parameter("since").map(|text| duration(text).ok_or_else(bad)).transpose()
}

/// `90`, `90s`, `15m`, `2h`, `1d`.
fn duration(text: &str) -> Option<Duration> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("", 1)];
    let (number, seconds) = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let time = number.parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(time) * seconds)).filter(|time| !time.is_zero())
}

fn format(request: &Request) -> Result<LeakFormat, Response> {
    match request.parameter("format") {
        None | Some("json") => Ok(LeakFormat::Json),
        Some("csv") => Ok(LeakFormat::Csv),
        Some("text") => Ok(LeakFormat::Text),
        Some(_) => Err(Response::error(400, "`format` must be json, csv or text")),
    }
}

/// Answers from a source.
pub struct SourceRoutes(Arc<dyn Source>);

impl SourceRoutes {
    /// The endpoints over `source`.
    pub fn new(source: Arc<dyn Source>) -> SourceRoutes {
        SourceRoutes(source)
    }

    fn endpoint_answer(&self, endpoint: Endpoint, stop: &Stop) -> Result<Response> {
        let source = &self.0;
        Ok(match endpoint {
            Endpoint::Index => Response::ok(TEXT, index()),
            Endpoint::Metrics { openmetrics } => {
                let content_type = if openmetrics { OPENMETRICS } else { CLASSIC };
                Response::ok(content_type, source.metrics_text(openmetrics)?)
            }
            Endpoint::Profile { kind, over, debug } => {
                let over = over.map(|time| Wait { time, stop });
                profile_answer(source.heap_profile(&ProfileRequest { kind, over, debug })?, kind, debug)
            }
            Endpoint::Flamegraph => Response::ok(SVG, source.flamegraph()?),
            Endpoint::Collapsed => Response::ok(TEXT, source.collapsed()?),
            Endpoint::Snapshot { top } => Response::ok(JSON, source.snapshot_json(top)?),
            Endpoint::Growth { since } => Response::ok(JSON, source.growth_json(since)?),
            Endpoint::Leaks { format } => Response::ok(leak_type(format), source.leaks(format)?),
            Endpoint::Anomalies => Response::ok(JSON, source.anomalies()?),
            Endpoint::Forecast => Response::ok(JSON, source.forecast()?),
            Endpoint::Recommendation => Response::ok(JSON, source.recommendation()?),
            Endpoint::Health if source.healthy() => Response::ok(TEXT, "ok\n"),
            Endpoint::Health => Response::error(503, "the collector does not tick"),
        })
    }
}

impl Routes for SourceRoutes {
    fn class(&self, request: &Request) -> Class {
        match endpoint(request) {
            Ok(Endpoint::Health | Endpoint::Index) | Err(_) => Class::Probe,
            Ok(Endpoint::Profile { over: Some(time), .. }) => Class::Wait(time),
            Ok(Endpoint::Profile { .. } | Endpoint::Flamegraph | Endpoint::Collapsed) => Class::Dump,
            Ok(_) => Class::Light,
        }
    }

    fn answer(&self, request: &Request, stop: &Stop) -> Response {
        let answer = endpoint(request).map(|endpoint| self.endpoint_answer(endpoint, stop));
        answer.unwrap_or_else(Ok).unwrap_or_else(|e| failure(&e))
    }
}

fn profile_answer(bytes: Vec<u8>, kind: ProfileKind, debug: bool) -> Response {
    if debug {
        return Response::ok(TEXT, bytes);
    }
    let disposition = match kind {
        ProfileKind::Heap => "attachment; filename=\"heap.pb.gz\"",
        ProfileKind::Allocs => "attachment; filename=\"allocs.pb.gz\"",
    };
    Response::ok(PROFILE, bytes).with("Content-Disposition", disposition)
}

fn leak_type(format: LeakFormat) -> &'static str {
    match format {
        LeakFormat::Json => JSON,
        LeakFormat::Csv => CSV,
        LeakFormat::Text => TEXT,
    }
}

fn failure(error: &Error) -> Response {
    if error.is_unsupported() {
        Response::error(501, error.to_string())
    } else if error.is_state() {
        Response::busy(503, &error.to_string())
    } else {
        Response::error(500, error.to_string())
    }
}

fn index() -> String {
    let mut text = String::from("heapwatch\n\n");
    for (path, shows) in TABLE {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{path:34} {shows}");
    }
    text
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
