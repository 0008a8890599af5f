//! A real Prometheus, filled with the past.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::usage::{self, MIB};
use crate::{heapwatch, json, stderr, tool};

struct Prometheus {
    child: Child,
    url: String,
    _dir: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// Serves `openmetrics` as past data.
fn prometheus(openmetrics: &str) -> Prometheus {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("past.om");
    std::fs::write(&file, openmetrics).expect("written");
    std::fs::write(dir.path().join("prometheus.yml"), "global: {}\n").expect("written");
    let data = dir.path().join("data");
    let filled = tool("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", "-q"])
        .args([&file, &data])
        .output()
        .expect("promtool runs");
    assert!(filled.status.success(), "{}", stderr(&filled));
    let port = free_port();
    let child = tool("prometheus")
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .args(["--storage.tsdb.retention.time=100y", &format!("--web.listen-address=127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let server = Prometheus { child, url: format!("http://127.0.0.1:{port}"), _dir: dir };
    let started = Instant::now();
    let ready = format!("{}/-/ready", server.url);
    while ureq::get(&ready).call().is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "prometheus is not ready after a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// 2026-01-01 in epoch seconds: a whole day.
const START_S: u64 = 1_767_225_600;

#[test]
fn a_real_prometheus_gives_what_the_csv_gives() {
    let days = 4;
    let server = prometheus(&usage::openmetrics(START_S, days));
    let end = (START_S + days * 86_400 - usage::STEP_S).to_string();
    let over_http =
        json(&heapwatch(&["k8s", "--prometheus", &server.url, "--range", "4d", "--step", "5m", "--end", &end]));
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("usage.csv");
    std::fs::write(&file, usage::csv(START_S, days)).expect("written");
    let from_csv = json(&heapwatch(&["k8s", "--input", &file.display().to_string()]));
    assert_eq!(over_http["schema"], "heapwatch.k8s/1");
    let both =
        over_http["recommendations"].as_array().unwrap().iter().zip(from_csv["recommendations"].as_array().unwrap());
    let mut compared = 0;
    for (http, csv) in both {
        let name = &http["container"];
        assert_eq!((&http["workload"], name), (&csv["workload"], &csv["container"]));
        assert_eq!(http["current"], csv["current"], "{name}");
        let (a, b) = (&http["target"]["request_bytes"], &csv["target"]["request_bytes"]);
        let apart = (a.as_f64().unwrap() / b.as_f64().unwrap() - 1.0).abs();
        assert!(apart < 0.02, "{name}: {a} over HTTP, {b} from CSV");
        compared += 1;
    }
    assert_eq!(compared, 4);
    let cache = &over_http["recommendations"][1];
    assert_eq!(cache["workload"], "cache");
    assert_eq!((&cache["kind"], &cache["seen"]["oom_kills"]), (&"StatefulSet".into(), &3.into()), "{cache}");
    let web = &over_http["recommendations"][2];
    assert_eq!((&web["kind"], &web["autoscaling"]["kind"]), (&"Deployment".into(), &"hpa".into()), "{web}");
    let krr = json(&heapwatch(&[
        "k8s",
        "--prometheus",
        &server.url,
        "--range",
        "4d",
        "--step",
        "5m",
        "--end",
        &end,
        "--strategy",
        "krr",
    ]));
    let peak = (3020.0 * MIB * 1.15 / MIB).ceil() * MIB;
    assert_eq!(krr["recommendations"][1]["target"]["limit_bytes"].as_f64(), Some((4096.0 * 1.25 * MIB).max(peak)));
    let series = ["--prometheus", &server.url, "--range", "4d", "--step", "5m", "--end", &end, "--query"];
    let leak = |query: &str| heapwatch(&[&["leak"], &series[..], &[query]].concat());
    let found = json(&leak("container_memory_working_set_bytes{pod=~\"queue.*\"}"));
    let rate = found["rate_bytes_per_hour"].as_f64().unwrap();
    assert!(found["leak"] == true && (rate / MIB - 2.0).abs() < 0.4, "{rate}");
    assert!(stderr(&leak("container_memory_working_set_bytes")).contains("gives more than one series"));
    assert!(stderr(&leak("nothing_of_that_name")).contains("gives no series in this range"));
    let none = heapwatch(&["k8s", "--prometheus", &server.url, "--selector", "namespace=\"nowhere\"", "--end", &end]);
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("no container_memory_working_set_bytes{namespace=\"nowhere\""), "{}", stderr(&none));
    let broken = heapwatch(&["k8s", "--prometheus", &server.url, "--selector", "namespace=", "--end", &end]);
    assert!(stderr(&broken).contains("answers 400") && stderr(&broken).contains("parse error"), "{}", stderr(&broken));
    let gone = json(&heapwatch(&["k8s", "--prometheus", &server.url, "--range", "9d", "--end", &end]));
    assert_eq!(gone["recommendations"].as_array().map(Vec::len), Some(4), "hours before the data are no error");
}
