//! The metrics of a synthetic process with hostile names, read by the reference implementations: promtool, the OpenMetrics parser
//! of the Python client, and a Prometheus server that answers the queries of dashboards over an hour and a half of it.

#[path = "support/synthetic_process.rs"]
mod synthetic_process;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use heapwatch::export::prometheus::{AnomalyCounts, Exporter, Form, Sources};
use heapwatch::snapshot::Snapshot;
use synthetic_process::{HOSTILE, pauses, snapshot, verdict};

const PROMETHEUS: &str = "apt-get install -y --no-install-recommends prometheus";
const PYTHON_CLIENT: &str = "pip install prometheus_client";

fn scrape(exporter: &mut Exporter, snapshot: &Snapshot, classic: bool, form: Form) -> String {
    let (verdict, pauses) = (verdict(snapshot), pauses(1 + snapshot.uptime_s as u64 / 60));
    let anomalies = AnomalyCounts { score: 0.5, by_severity: [4, 3, 2, 1] };
    let sources = Sources { snapshot, verdict: &verdict, anomalies: Some(&anomalies), pauses: &pauses };
    exporter.scrape(&sources, classic, form)
}

fn run(command: &mut Command, input: &str, install: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = piped.unwrap_or_else(|e| panic!("{command:?}: {e}; install it: {install}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output
}

fn promtool(arguments: &[&str], input: &str) -> (i32, String) {
    let output = run(Command::new("promtool").args(arguments), input, PROMETHEUS);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn canonical_names_are_clean_and_classic_ones_parse() {
    let text = scrape(&mut Exporter::default(), &snapshot(9, 99), false, Form::Text);
    assert_eq!(promtool(&["check", "metrics"], &text), (0, String::new()));
    let text = scrape(&mut Exporter::default(), &snapshot(9, 99), true, Form::Text);
    let (status, said) = promtool(&["check", "metrics"], &text);
    // 3: some lint rule is broken, as the classic names do; anything else: it does not parse.
    assert_eq!(status, 3, "{said}");
}

#[test]
fn openmetrics_is_read_by_the_reference_parser() {
    let text = scrape(&mut Exporter::default(), &snapshot(9, 99), true, Form::OpenMetrics);
    let script = "
import io, json, sys
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
text = io.StringIO(sys.stdin.buffer.read().decode(), newline='\\n')
families = list(text_fd_to_metric_families(text))
info = [f for f in families if f.name == 'heapwatch_info'][0].samples[0].labels
print(json.dumps([info, {f.name: f.type for f in families}]))
";
    let output = run(Command::new("python3").args(["-c", script]), &text, PYTHON_CLIENT);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}\nif a module is missing, install it: {PYTHON_CLIENT}");
    let (labels, kinds): (HashMap<String, String>, HashMap<String, String>) =
        serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((labels["service"].as_str(), labels["region"].as_str()), (HOSTILE, HOSTILE));
    assert_eq!((kinds["memory_allocations"].as_str(), kinds["gc_duration_ms"].as_str()), ("counter", "histogram"));
    assert_eq!(kinds["memory_allocation_count"], "unknown");
}

#[test]
fn the_page_lists_what_is_exported() {
    let text = scrape(&mut Exporter::default(), &snapshot(9, 99), true, Form::Text);
    let exported: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = include_str!("../docs/METRICS.md");
    let unlisted = exported.iter().filter(|name| !page.contains(&format!("`{name}`")));
    assert_eq!(unlisted.collect::<Vec<_>>(), [&""; 0]);
    let rows = page.lines().filter(|l| l.starts_with("| ")).filter_map(|l| l.split('|').nth(1));
    let listed = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| name.contains('_'));
    assert_eq!(listed.filter(|name| !exported.contains(name)).collect::<Vec<_>>(), [""; 0]);
}

/// The sums of all samples with this name.
fn sum(text: &str, name: &str) -> f64 {
    let of_name = text.lines().filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    of_name.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn lists_are_bounded_and_sum_to_the_total() {
    let s = snapshot(9, 99);
    let text = scrape(&mut Exporter::default(), &s, false, Form::Text);
    let totals = &s.totals;
    for (name, total) in [
        ("memory_allocations_total", totals.allocations as f64),
        ("memory_allocated_bytes_total", totals.allocated_bytes as f64),
        ("memory_freed_bytes_total", totals.freed_bytes as f64),
        ("memory_allocation_distribution_total", totals.allocations as f64),
        ("memory_site_live_bytes", totals.live_bytes() as f64),
        ("memory_type_live_bytes", totals.live_bytes() as f64),
        ("memory_allocator_total_bytes", totals.live_bytes() as f64),
        ("heap_objects", totals.live_objects() as f64),
    ] {
        assert!((sum(&text, name) / total - 1.0).abs() < 1e-9, "{name}");
        assert!(text.matches(&format!("\n{name}{{")).count() <= 102, "{name}");
    }
    assert_eq!(sum(&text, "endpoint_memory_delta_bytes_count"), 150.0 * 100.0);
    assert_eq!(text.matches("\nendpoint_memory_delta_bytes_count{").count(), 101);
}

#[test]
fn no_counter_falls_when_a_scope_settles_or_a_request_frees() {
    let (mut exporter, before) = (Exporter::default(), snapshot(9, 99));
    let first = scrape(&mut exporter, &before, false, Form::Text);
    let mut after = before.clone();
    after.scopes[1].allocations += 500_000;
    for request in after.scopes.iter_mut().filter_map(|s| s.request_net_bytes.as_mut()) {
        request.sum -= 1e9;
    }
    let second = scrape(&mut exporter, &after, false, Form::Text);
    let none = "memory_allocations_total{component=\"none\"";
    let value = |text: &str| text.lines().find(|l| l.starts_with(none)).map(str::to_owned);
    assert!(value(&first).is_some());
    assert_eq!(value(&first), value(&second));
    let net = "endpoint_memory_delta_bytes_sum";
    assert_eq!(sum(&first, net), sum(&second, net));
}

/// Ninety minutes, a scrape in each, with times; the last is at the epoch that is returned.
fn ninety_minutes() -> (String, f64) {
    let (mut exporter, mut text, mut last) = (Exporter::default(), String::new(), 0.0);
    for minute in 0..=90 {
        let s = snapshot(minute, 88);
        last = s.taken_at_s;
        for line in scrape(&mut exporter, &s, true, Form::OpenMetrics).lines() {
            match line.starts_with('#') {
                true if minute > 0 || line == "# EOF" => {}
                true => text.extend([line, "\n"]),
                false => writeln!(text, "{line} {last}").unwrap(),
            }
        }
    }
    (text + "# EOF\n", last)
}

/// Ends the server with the test, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &std::path::Path) -> (Server, String) {
    let config = data.with_extension("yml");
    std::fs::write(&config, "{}\n").unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .args(["--storage.tsdb.retention.time=100y", &format!("--web.listen-address={address}")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("prometheus: {e}; install it: {PROMETHEUS}"));
    let server = Server(child);
    let is_up = || TcpStream::connect(address).is_ok();
    assert!(
        (0..600).any(|_| is_up() || {
            std::thread::sleep(Duration::from_millis(100));
            false
        }),
        "it does not start"
    );
    (server, format!("http://{address}"))
}

#[test]
fn a_prometheus_answers_the_queries_of_dashboards() {
    let directory = tempfile::tempdir().unwrap();
    let (page, data) = (directory.path().join("page.txt"), directory.path().join("data"));
    let (text, last) = ninety_minutes();
    std::fs::write(&page, text).unwrap();
    let paths = [page.to_str().unwrap(), data.to_str().unwrap()];
    let (status, said) = promtool(&["tsdb", "create-blocks-from", "openmetrics", paths[0], paths[1]], "");
    assert_eq!(status, 0, "{said}");
    let (_server, url) = serve(&data);
    let queries = include_str!("support/queries.txt").lines().filter(|l| !l.starts_with('#'));
    let unanswered: Vec<(&str, String)> = queries
        .filter_map(|query| {
            let (status, said) = promtool(&["query", "instant", &format!("--time={last}"), &url, query], "");
            (status != 0 || said.trim().is_empty()).then_some((query, said))
        })
        .collect();
    assert!(unanswered.is_empty(), "{unanswered:#?}");
}
