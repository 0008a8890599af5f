//! Recommendations as JSON (`heapwatch.k8s/1`), CSV and text.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::analyze::sizing::{Recommendation, Status, amount, efficiency};

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizingReport {
    schema: &'static str,
    /// One for each container of each workload.
    pub recommendations: Vec<Recommendation>,
    /// All together.
    pub summary: Summary,
}

/// All workloads together. Bytes are summed over replicas.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Containers of workloads.
    pub containers: usize,
    /// How many are over-provisioned, leaking, ….
    pub by_status: BTreeMap<&'static str, usize>,
    /// Request in force.
    pub requested_bytes: u64,
    /// Request recommended.
    pub recommended_bytes: u64,
    /// What the recommendations save; negative when they cost.
    pub savings_bytes: i64,
    /// The same as money a month, when a price was given.
    pub savings_per_month: Option<f64>,
    /// min/max of requested and needed over the fleet, 0–1.
    pub efficiency_score: Option<f64>,
    /// OOM kills seen.
    pub oom_kills: u64,
    /// What the source had to leave out or could not find.
    pub notes: Vec<String>,
}

impl SizingReport {
    /// Sums up.
    pub fn new(recommendations: Vec<Recommendation>, notes: Vec<String>) -> SizingReport {
        let summary = Summary::of(&recommendations, notes);
        SizingReport { schema: "heapwatch.k8s/1", recommendations, summary }
    }

    /// Any recommendation has this status.
    pub fn has(&self, status: Status) -> bool {
        self.recommendations.iter().any(|r| r.status == status)
    }

    /// One JSON object.
    pub fn to_json(&self) -> String {
        // Only a map with odd keys or a failing writer can make this fail; there is neither.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A header and a row for each recommendation.
    pub fn to_csv(&self) -> String {
        let mut out = String::from(
            "namespace,workload,container,status,request_bytes,limit_bytes,target_request_bytes,target_limit_bytes,\
             lower_bound_bytes,upper_bound_bytes,confidence,efficiency_score,savings_bytes,replicas,oom_kills,reasons\n",
        );
        for r in &self.recommendations {
            let number = |n: Option<u64>| n.map_or(String::new(), |n| n.to_string());
            let cells = [
                quoted(&r.namespace),
                quoted(&r.workload),
                quoted(&r.container),
                status_name(r.status).to_owned(),
                number(r.current.request_bytes),
                number(r.current.limit_bytes),
                number(r.target.request_bytes),
                number(r.target.limit_bytes),
                number(r.lower_bound_bytes),
                number(r.upper_bound_bytes),
                format!("{:.3}", r.confidence),
                r.efficiency_score.map_or(String::new(), |s| format!("{s:.3}")),
                r.savings_bytes.to_string(),
                r.autoscaling.as_ref().map_or(String::new(), |a| a.replicas.to_string()),
                r.seen.oom_kills.to_string(),
                quoted(&[r.reasons.join("; "), r.missing.join("; ")].join("; ")),
            ];
            out.push_str(&cells.join(","));
            out.push('\n');
        }
        out
    }

    /// A table, the reasons of what needs a hand, and the sum.
    pub fn to_text(&self) -> String {
        let mut rows = vec![["WORKLOAD", "STATUS", "REQUEST", "LIMIT", "SAVES", "SCORE", "SURE"].map(str::to_owned)];
        rows.extend(self.recommendations.iter().map(text_row));
        let mut out = table(&rows);
        out.push('\n');
        for r in self.recommendations.iter().filter(|r| r.status != Status::RightSized) {
            let _ = writeln!(out, "{}/{}/{}:", r.namespace, r.workload, r.container);
            let advice = r.autoscaling.iter().flat_map(|a| std::iter::once(&a.why).chain(&a.warnings));
            for line in r.reasons.iter().chain(&r.missing).chain(&r.qos).chain(advice) {
                let _ = writeln!(out, "  - {line}");
            }
        }
        out.push_str(&self.summary.to_text());
        out
    }
}

impl Summary {
    fn of(all: &[Recommendation], notes: Vec<String>) -> Summary {
        let replicas = |r: &Recommendation| r.autoscaling.as_ref().map_or(0, |a| a.replicas) as u64;
        let mut by_status = BTreeMap::new();
        for r in all {
            *by_status.entry(status_name(r.status)).or_insert(0) += 1;
        }
        let sized =
            || all.iter().filter_map(|r| Some((r.current.request_bytes?, r.target.request_bytes?, replicas(r))));
        Summary {
            containers: all.len(),
            by_status,
            requested_bytes: sized().map(|(now, _, n)| now * n).sum(),
            recommended_bytes: sized().map(|(_, then, n)| then * n).sum(),
            savings_bytes: all.iter().map(|r| r.savings_bytes).sum(),
            savings_per_month: all.iter().filter_map(|r| r.savings_per_month).reduce(|a, b| a + b),
            efficiency_score: efficiency::fleet_score(
                sized().map(|(now, then, n)| (now as f64, then as f64, n as f64)),
            ),
            oom_kills: all.iter().map(|r| r.seen.oom_kills).sum(),
            notes,
        }
    }

    fn to_text(&self) -> String {
        let counts = self.by_status.iter().map(|(status, n)| format!("{n} {status}")).collect::<Vec<_>>().join(", ");
        let mut out = format!(
            "\n{} containers: {counts}\nrequested {}, recommended {}, saves {}",
            self.containers,
            amount::text(self.requested_bytes as f64),
            amount::text(self.recommended_bytes as f64),
            amount::text(self.savings_bytes as f64),
        );
        if let Some(money) = self.savings_per_month {
            let _ = write!(out, " ({money:.2} a month)");
        }
        if let Some(score) = self.efficiency_score {
            let _ = write!(out, "; efficiency {score:.2}");
        }
        out.push('\n');
        self.notes.iter().for_each(|note| {
            let _ = writeln!(out, "note: {note}");
        });
        out
    }
}

fn text_row(r: &Recommendation) -> [String; 7] {
    let size = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| amount::text(n as f64));
    let change = |now, then| format!("{} → {}", size(now), size(then));
    [
        format!("{}/{}/{}", r.namespace, r.workload, r.container),
        status_name(r.status).to_owned(),
        change(r.current.request_bytes, r.target.request_bytes),
        change(r.current.limit_bytes, r.target.limit_bytes),
        amount::text(r.savings_bytes as f64),
        r.efficiency_score.map_or_else(|| "-".to_owned(), |s| format!("{s:.2}")),
        format!("{:.2}", r.confidence),
    ]
}

fn table(rows: &[[String; 7]]) -> String {
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The name in JSON.
pub fn status_name(status: Status) -> &'static str {
    match status {
        Status::OverProvisioned => "over_provisioned",
        Status::UnderProvisioned => "under_provisioned",
        Status::RightSized => "right_sized",
        Status::Leaking => "leaking",
        Status::InsufficientData => "insufficient_data",
    }
}

/// A CSV cell (RFC 4180).
fn quoted(text: &str) -> String {
    let plain = !text.contains([',', '"', '\n', '\r']);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}
