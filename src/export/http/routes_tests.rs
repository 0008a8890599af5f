use super::*;
use crate::export::http::target;

/// Says which method was called with what.
struct Echo;

impl Source for Echo {
    fn metrics_text(&self, openmetrics: bool) -> Result<String> {
        Ok(format!("metrics {openmetrics}"))
    }
    fn heap_profile(&self, request: &ProfileRequest<'_>) -> Result<Vec<u8>> {
        let over = request.over.as_ref().map(Wait::time);
        Ok(format!("{:?} {over:?} {}", request.kind, request.debug).into_bytes())
    }
    fn collapsed(&self) -> Result<String> {
        Ok("collapsed".to_owned())
    }
    fn flamegraph(&self) -> Result<String> {
        Err(Error::unsupported("built without the feature flamegraph"))
    }
    fn snapshot_json(&self, top: usize) -> Result<String> {
        Ok(format!("snapshot {top}"))
    }
    fn growth_json(&self, since: Option<Duration>) -> Result<String> {
        Ok(format!("growth {since:?}"))
    }
    fn leaks(&self, format: LeakFormat) -> Result<String> {
        Ok(format!("leaks {format:?}"))
    }
    fn anomalies(&self) -> Result<String> {
        Ok("anomalies".to_owned())
    }
    fn forecast(&self) -> Result<String> {
        Err(Error::state("no tick yet"))
    }
    fn recommendation(&self) -> Result<String> {
        Err(Error::io("broken"))
    }
    fn healthy(&self) -> bool {
        true
    }
}

fn ask(target: &str, accept: Option<&str>) -> (u16, &'static str, String) {
    let request = Request { target: target::parse(target).unwrap(), accept: accept.map(str::to_owned) };
    let response = SourceRoutes::new(Arc::new(Echo)).answer(&request, &Stop::default());
    (response.status, response.content_type, String::from_utf8(response.body).unwrap())
}

fn class(target: &str) -> Class {
    let request = Request { target: target::parse(target).unwrap(), accept: None };
    SourceRoutes::new(Arc::new(Echo)).class(&request)
}

#[test]
fn every_path_of_the_index_reaches_its_method() {
    for (target, content_type, body) in [
        ("/metrics", CLASSIC, "metrics false"),
        ("/debug/pprof/heap", PROFILE, "Heap None false"),
        ("/debug/pprof/allocs?seconds=3&debug=1", TEXT, "Allocs Some(3s) true"),
        ("/debug/pprof/heap?seconds=0&debug=0", PROFILE, "Heap None false"),
        ("/debug/pprof/heap/collapsed", TEXT, "collapsed"),
        ("/api/debug/memory/snapshot", JSON, "snapshot 20"),
        ("/api/debug/memory/snapshot?top=7", JSON, "snapshot 7"),
        ("/api/debug/memory/growth", JSON, "growth None"),
        ("/api/debug/memory/growth?since=15m", JSON, "growth Some(900s)"),
        ("/api/debug/memory/leaks", JSON, "leaks Json"),
        ("/api/debug/memory/leaks?format=csv", CSV, "leaks Csv"),
        ("/api/debug/memory/leaks?format=text", TEXT, "leaks Text"),
        ("/api/debug/memory/anomalies", JSON, "anomalies"),
        ("/healthz", TEXT, "ok\n"),
    ] {
        assert_eq!(ask(target, None), (200, content_type, body.to_owned()), "{target}");
    }
    let index = ask("/", None).2;
    for (path, _) in TABLE {
        assert!(index.contains(path) && ask(path, None).0 != 404, "{path}");
    }
}

#[test]
fn openmetrics_by_negotiation() {
    let got = ask("/metrics", Some("application/openmetrics-text"));
    assert_eq!(got, (200, OPENMETRICS, "metrics true".to_owned()));
}

#[test]
fn failures_have_their_status() {
    for (target, status) in [
        ("/debug/pprof/heap/flamegraph", 501),
        ("/api/debug/memory/forecast", 503),
        ("/api/debug/memory/recommendation", 500),
        ("/nothing", 404),
        ("/Metrics", 404),
        ("/debug/pprof/heap?seconds=x", 400),
        ("/debug/pprof/heap?seconds=-1", 400),
        ("/debug/pprof/heap?debug=yes", 400),
        ("/api/debug/memory/snapshot?top=1001", 400),
        ("/api/debug/memory/snapshot?top=", 400),
        ("/api/debug/memory/growth?since=15x", 400),
        ("/api/debug/memory/growth?since=0s", 400),
        ("/api/debug/memory/growth?since=99999999999d", 400),
        ("/api/debug/memory/leaks?format=xml", 400),
    ] {
        assert_eq!(ask(target, None).0, status, "{target}");
    }
}

#[test]
fn classes_keep_the_quick_apart_from_the_slow() {
    assert_eq!(class("/healthz"), Class::Probe);
    assert_eq!(class("/nothing"), Class::Probe);
    assert_eq!(class("/metrics"), Class::Light);
    assert_eq!(class("/debug/pprof/heap"), Class::Dump);
    assert_eq!(class("/debug/pprof/heap?seconds=9"), Class::Wait(Duration::from_secs(9)));
}
