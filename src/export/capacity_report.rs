//! The capacity report as JSON (`heapwatch.capacity/1`), CSV and text with a small chart.

use std::fmt::Write;

use crate::analyze::capacity::{CapacityReport, Exhaustion, Line, WorkloadCapacity};
use crate::analyze::sizing::amount;
use crate::analyze::sizing::days::DAY_S;

/// Columns of a chart.
const CHART_DAYS: usize = 30;

/// One JSON object.
pub fn to_json(report: &CapacityReport) -> String {
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

/// A header and a row for each workload.
pub fn to_csv(report: &CapacityReport) -> String {
    let mut out = String::from(
        "namespace,workload,container,replicas,level_bytes,growth_bytes_per_day,growth_lower,growth_upper,limit_bytes,\
         headroom_bytes,exhaustion,exhaustion_earliest,exhaustion_latest\n",
    );
    for w in &report.workloads {
        let number = |n: Option<f64>| n.map_or(String::new(), |n| format!("{n:.0}"));
        let line = |f: fn(&Line) -> f64| number(w.growth.as_ref().map(f));
        let meets = w.exhaustion.as_ref().map(|e| e.meets.clone()).unwrap_or_default();
        let cells = [
            w.namespace.clone(),
            w.workload.clone(),
            w.container.clone(),
            w.replicas.to_string(),
            line(|l| l.level_bytes),
            line(|l| l.per_day),
            line(|l| l.per_day_lower),
            line(|l| l.per_day_upper),
            number(w.exhaustion.as_ref().map(|e| e.capacity_bytes)),
            number(w.exhaustion.as_ref().map(|e| e.headroom_bytes)),
            meets.expected.unwrap_or_default(),
            meets.earliest.unwrap_or_default(),
            meets.latest.unwrap_or_default(),
        ];
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

/// The cluster, then each workload, the soonest exhausted first.
pub fn to_text(report: &CapacityReport) -> String {
    let mut out = String::from("cluster\n");
    chart(&mut out, &report.cluster.daily_peaks, report.cluster.forecast.iter().map(|d| d.mean));
    growth(&mut out, report.cluster.growth.as_ref());
    let _ = writeln!(out, "  requested: {}", amount::text(report.cluster.requested_bytes));
    report.cluster.exhaustions.iter().for_each(|e| exhaustion(&mut out, e, report.now_s));
    report.workloads.iter().for_each(|w| workload(&mut out, w, report.now_s));
    report.notes.iter().for_each(|note| {
        let _ = writeln!(out, "note: {note}");
    });
    out
}

fn workload(out: &mut String, w: &WorkloadCapacity, now_s: f64) {
    let _ = writeln!(out, "\n{}/{}/{}: {} pods", w.namespace, w.workload, w.container, w.replicas);
    chart(out, &w.daily_peaks, w.forecast.iter().map(|d| d.mean));
    growth(out, w.growth.as_ref());
    for (period_s, strength) in &w.seasons {
        let _ = writeln!(out, "  season: {:.1} h, strength {strength:.2}", period_s / 3600.0);
    }
    if let Some(e) = &w.exhaustion {
        exhaustion(out, e, now_s);
    }
    for s in &w.scenarios {
        let _ =
            write!(out, "  if {}: {} now, {} at the end", s.scenario, size(s.level_bytes), size(s.at_horizon_bytes));
        let _ = match &s.exhaustion {
            Some(e) => writeln!(out, "; {} {}", e.of, when(e, now_s)),
            None => writeln!(out),
        };
    }
    w.missing.iter().for_each(|m| {
        let _ = writeln!(out, "  missing: {m}");
    });
}

fn size(bytes: f64) -> String {
    amount::text(bytes)
}

fn growth(out: &mut String, line: Option<&Line>) {
    let Some(l) = line else { return };
    let range = format!("{} to {}", size(l.per_day_lower), size(l.per_day_upper));
    let _ = match l.confirmed {
        true => writeln!(out, "  peak {}, grows {} a day ({range})", size(l.level_bytes), size(l.per_day)),
        false => writeln!(out, "  peak {}, no trend that a test confirms ({range} a day)", size(l.level_bytes)),
    };
}

fn exhaustion(out: &mut String, e: &Exhaustion, now_s: f64) {
    let (capacity, room, percent) = (size(e.capacity_bytes), size(e.headroom_bytes), e.headroom_ratio * 100.0);
    let _ = writeln!(out, "  {} {capacity}: headroom {room} ({percent:.0} %), {}", e.of, when(e, now_s));
}

fn when(e: &Exhaustion, now_s: f64) -> String {
    let days = |t: Option<f64>| t.map_or_else(|| "never".to_owned(), |t| format!("{:.1} d", (t - now_s) / DAY_S));
    match e.meets.expected_s {
        Some(t) if t <= now_s => "met now".to_owned(),
        expected => format!(
            "met in {} (earliest {}, latest {})",
            days(expected),
            days(e.meets.earliest_s),
            days(e.meets.latest_s)
        ),
    }
}

/// Days seen, a bar, days to come.
fn chart(out: &mut String, seen: &[f64], to_come: impl Iterator<Item = f64>) {
    let seen = &seen[seen.len().saturating_sub(CHART_DAYS)..];
    let future: Vec<f64> = to_come.take(CHART_DAYS).collect();
    let most = seen.iter().chain(&future).copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |v: &f64| BARS[((v / most * 8.0).ceil() as usize).clamp(1, 8) - 1];
    let draw = |values: &[f64]| values.iter().map(bar).collect::<String>();
    let _ = writeln!(out, "  {}│{}  (peak a day; {} at most)", draw(seen), draw(&future), size(most));
}
