//! Anomalies of the process's own memory, as they happen: the detector that the collector's thread feeds, and what it said lately.

use std::collections::VecDeque;

#[cfg(feature = "http")]
use crate::analyze::anomaly::report::{AnomalyRecord, PointRecord, SCHEMA};
use crate::analyze::anomaly::{Anomaly, AnomalyDetector, Config, Point, Severity};
#[cfg(feature = "http")]
use crate::analyze::anomaly::{Baseline, SeasonSeen};

/// Points and anomalies that are kept to be shown.
const POINTS: usize = 600;
const ANOMALIES: usize = 200;

/// The detector and its recent answers. Bounded.
pub struct AnomalyLog {
    detector: AnomalyDetector,
    points: VecDeque<Point>,
    ended: VecDeque<Anomaly>,
    counts: [u64; 4],
}

#[cfg(feature = "http")]
#[derive(serde::Serialize)]
struct Document {
    schema: &'static str,
    metric: &'static str,
    points: Vec<PointRecord>,
    anomalies: Vec<AnomalyRecord>,
    seasonality: Vec<SeasonSeen>,
    baseline: Baseline,
    note: Option<&'static str>,
}

impl AnomalyLog {
    pub fn new() -> AnomalyLog {
        AnomalyLog {
            detector: AnomalyDetector::new(Config::default()),
            points: VecDeque::new(),
            ended: VecDeque::new(),
            counts: [0; 4],
        }
    }

    /// One tick's memory in use.
    pub fn push(&mut self, time_s: f64, bytes: f64) {
        let (point, ended) = self.detector.push(time_s, bytes);
        keep(&mut self.points, point, POINTS);
        if let Some(anomaly) = ended {
            self.counts[anomaly.severity as usize] += 1;
            keep(&mut self.ended, anomaly, ANOMALIES);
        }
    }

    /// Score of the last point, 0–1.
    pub fn score(&self) -> f64 {
        self.points.back().map_or(0.0, |p| p.score)
    }

    /// Anomalies that have ended, by severity, mildest first.
    pub fn counts(&self) -> [(Severity, u64); 4] {
        let severities = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        severities.map(|s| (s, self.counts[s as usize]))
    }

    /// `heapwatch.anomaly/1` over the recent past.
    #[cfg(feature = "http")]
    pub fn document(&self) -> String {
        let baseline = self.detector.baseline();
        let note = (!baseline.warm).then_some("the baseline is still being learned: anomalies are raised after a day");
        let document = Document {
            schema: SCHEMA,
            metric: "memory in use",
            points: self.points.iter().map(PointRecord::from).collect(),
            anomalies: self.ended.iter().chain(&self.detector.open_anomaly()).map(AnomalyRecord::from).collect(),
            seasonality: self.detector.seasonality(),
            baseline,
            note,
        };
        // Numbers, strings and lists: it cannot fail.
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }
}

fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}
