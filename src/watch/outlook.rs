//! What lies ahead of the process: the forecast of its memory in use, and the recommended request and limit.

use super::Observation;
use crate::analyze::forecast::{ForecastOptions, forecast};
use crate::analyze::series::Series;
use crate::analyze::sizing::Options;
use crate::analyze::sizing::process::{Process, recommend_process};
use crate::analyze::sizing::workload::Leak;
use crate::error::Result;
use crate::export::sizing_report::SizingReport;
use crate::snapshot::{ProcessHistory, Snapshot};

/// Steps ahead: the history's even steps, so as far ahead as a fifth of it, an hour at most in steps of 15 s.
const HORIZON_ROWS: usize = 240;

/// `heapwatch.forecast/1` of the memory that counts against the limit. Errors: less than two points are known.
pub fn forecast_json(o: &Observation) -> Result<String> {
    let history = &o.snapshot.history;
    let series = Series::repaired(history.times_s.clone(), used(history), Some(load(history)));
    let options = ForecastOptions {
        horizon_rows: HORIZON_ROWS.min(series.len().max(1)),
        limit_bytes: o.snapshot.memory.limit.as_ref().map(|l| l.bytes as f64),
        ..ForecastOptions::default()
    };
    let forecast = forecast(&series, &options)?;
    // Numbers, strings and lists: it cannot fail.
    Ok(serde_json::to_string_pretty(&forecast).unwrap_or_default())
}

/// `heapwatch.k8s/1` with the recommendation for this process.
pub fn recommendation_json(o: &Observation) -> String {
    let s = &*o.snapshot;
    let rss = Series::repaired(s.history.times_s.clone(), s.history.rss_bytes.clone(), None);
    let process = Process {
        service: &s.process.service,
        rss: &rss,
        peak_bytes: s.memory.peak_rss_bytes.map(|b| b as f64),
        heap_live_bytes: Some(s.totals.live_bytes() as f64),
        request_bytes: s.process.placement.request_bytes.map(|b| b as f64),
        limit_bytes: s.memory.limit.as_ref().map(|l| l.bytes as f64),
        leak: leak(o, s),
    };
    SizingReport::new(vec![recommend_process(&process, &Options::default())], Vec::new()).to_json()
}

fn leak(o: &Observation, s: &Snapshot) -> Option<Leak> {
    let first = o.verdict.leaks.first()?;
    let frame = first.responsible_frame.and_then(|i| first.site.stack.get(i));
    Some(Leak {
        rate_bytes_per_hour: o.verdict.rate_bytes_per_hour[0],
        onset_s: first.onset_s.filter(|t| *t > s.process.started_at_s + 60.0),
        confidence: o.verdict.confidence,
        site: frame.map(|f| f.function.to_string()),
    })
}

fn used(history: &ProcessHistory) -> Vec<f64> {
    let either = |(usage, rss): (&f64, &f64)| if usage.is_finite() { *usage } else { *rss };
    history.usage_bytes.iter().zip(&history.rss_bytes).map(either).collect()
}

/// Allocated bytes a second: the work that is done.
fn load(history: &ProcessHistory) -> Vec<f64> {
    let rate = |i: usize| {
        let before = i.checked_sub(1)?;
        let seconds = history.times_s[i] - history.times_s[before];
        Some((history.allocated_bytes[i] - history.allocated_bytes[before]) / seconds.max(1e-9))
    };
    (0..history.times_s.len())
        .map(|i| rate(i).or_else(|| (history.times_s.len() > 1).then(|| rate(1)).flatten()).unwrap_or(0.0))
        .collect()
}
