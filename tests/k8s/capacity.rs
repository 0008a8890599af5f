//! `heapwatch capacity` on made clusters and series.

use std::fmt::Write;

use tempfile::TempDir;

use crate::usage::{self, MIB};
use crate::{heapwatch, json, stderr, stdout};

const START_S: u64 = 1_767_225_600;

fn cluster() -> (TempDir, String) {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("usage.csv");
    std::fs::write(&file, usage::csv(START_S, 10)).expect("written");
    let path = file.display().to_string();
    (dir, path)
}

#[test]
fn a_leak_meets_its_limit_on_the_day_and_scenarios_move_it() {
    let (_dir, input) = cluster();
    let out = json(&heapwatch(&[
        "capacity",
        "--input",
        &input,
        "--what-if",
        "limit=8GiB",
        "--what-if",
        "growth=-50%",
        "--what-if",
        "fix=leak",
        "--allocatable",
        "64Gi",
        "--quota",
        "10Gi",
    ]));
    assert_eq!(out["schema"], "heapwatch.capacity/1");
    let first = &out["workloads"][0];
    assert_eq!(first["workload"], "queue", "the soonest exhausted stands first");
    // 500 MiB and 48 MiB a day for ten days, then 4096 MiB.
    let now = out["now_s"].as_f64().unwrap();
    let days = |e: &serde_json::Value| (e["meets"]["expected_s"].as_f64().unwrap() - now) / 86_400.0;
    let want = (4096.0 - 980.0) / 48.0;
    assert!((days(&first["exhaustion"]) - want).abs() < 1.0, "{} for {want}", days(&first["exhaustion"]));
    assert!((first["growth"]["per_day"].as_f64().unwrap() / MIB - 48.0).abs() < 1.0);
    let scenarios = first["scenarios"].as_array().unwrap();
    assert!((days(&scenarios[0]["exhaustion"]) - (8192.0 - 980.0) / 48.0).abs() < 2.0);
    assert!((days(&scenarios[1]["exhaustion"]) - 2.0 * want).abs() < 2.0);
    assert!(scenarios[2]["exhaustion"]["meets"]["expected"].is_null(), "fixed, it never comes: {}", scenarios[2]);
    let quota = &out["cluster"]["exhaustions"][1];
    assert_eq!(
        (&quota["of"], quota["headroom_bytes"].as_f64()),
        (&"quota".into(), Some((10240.0 - 5.0 * 4096.0) * MIB))
    );
    assert!(quota["meets"]["expected"].is_string(), "over already");
}

#[test]
fn a_daily_season_is_found_and_text_has_a_chart() {
    let (_dir, input) = cluster();
    let out = json(&heapwatch(&["capacity", "--input", &input]));
    let web = out["workloads"]
        .as_array()
        .unwrap()
        .iter()
        .find(|w| w["workload"] == "web" && w["container"] == "app")
        .unwrap();
    let period = web["seasons"][0][0].as_f64().unwrap();
    assert!((period / 3600.0 - 24.0).abs() < 0.5, "{period}");
    assert!(
        web["exhaustion"]["meets"]["expected"].is_null() && web["exhaustion"]["headroom_ratio"].as_f64().unwrap() > 0.5
    );
    let text = stdout(&heapwatch(&["capacity", "--input", &input, "--format", "text"]));
    assert!(text.contains('█') && text.contains("pod_limit 4.00 GiB: headroom"), "{text}");
    let csv = stdout(&heapwatch(&["capacity", "--input", &input, "--format", "csv"]));
    assert_eq!((csv.lines().count(), csv.split(',').next()), (5, Some("namespace")));
}

#[test]
fn a_plain_series_takes_its_limit_from_the_argument() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("series.csv");
    let mut text = String::from("timestamp,value\n");
    for hour in 0..240u64 {
        let _ = writeln!(text, "{},{:.0}", START_S + hour * 3600, (500.0 + hour as f64) * MIB);
    }
    std::fs::write(&file, text).expect("written");
    let input = file.display().to_string();
    let out = json(&heapwatch(&["capacity", "--input", &input, "--limit", "2GiB", "--horizon", "7"]));
    let w = &out["workloads"][0];
    assert_eq!(w["forecast"].as_array().map(Vec::len), Some(7));
    let expected = w["exhaustion"]["meets"]["expected_s"].as_f64().unwrap() - out["now_s"].as_f64().unwrap();
    assert!((expected / 3600.0 - (2048.0 - 740.0)).abs() < 30.0, "{}", expected / 3600.0);
    let bad = heapwatch(&["capacity", "--input", &input, "--what-if", "load=fast"]);
    assert!(bad.status.code() == Some(2) && stderr(&bad).contains("`load=+20%`"), "{}", stderr(&bad));
}
