//! The capacity report of a fleet: each workload, and the cluster as a whole.

use std::collections::BTreeMap;

use serde::Serialize;

use super::line::{Line, MIN_DAYS, Meeting};
use crate::analyze::season::{SeasonOptions, find_seasons};
use crate::analyze::series::Series;
use crate::analyze::sizing::days::{self, DAY_S};
use crate::analyze::sizing::fleet::Fleet;
use crate::analyze::sizing::workload::{Leak, Workload};
use crate::analyze::time::rfc3339;
use crate::analyze::what_if::{GrowingSite, Scenario, Situation};
use crate::error::Result;

/// What to plan for.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityOptions {
    /// How far to look ahead, days. Default 30.
    pub horizon_days: f64,
    /// Memory that all nodes together can give to pods, bytes.
    pub allocatable_bytes: Option<f64>,
    /// Quota on memory requests, bytes.
    pub quota_bytes: Option<f64>,
    /// What to try out.
    pub scenarios: Vec<Scenario>,
}

impl Default for CapacityOptions {
    fn default() -> CapacityOptions {
        CapacityOptions { horizon_days: 30.0, allocatable_bytes: None, quota_bytes: None, scenarios: Vec::new() }
    }
}

/// A day to come, bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastDay {
    /// RFC 3339.
    pub timestamp: Option<String>,
    /// Epoch seconds.
    pub timestamp_s: f64,
    /// Expected peak.
    pub mean: f64,
    /// Lower end of the 90 % interval.
    pub lower: f64,
    /// Upper end of the 90 % interval.
    pub upper: f64,
}

/// How long a capacity lasts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exhaustion {
    /// `pod_limit`, `node_allocatable`, `quota`.
    pub of: &'static str,
    /// The capacity.
    pub capacity_bytes: f64,
    /// Capacity less the level now.
    pub headroom_bytes: f64,
    /// Headroom over capacity, 0–1; negative when over.
    pub headroom_ratio: f64,
    /// When it is met.
    pub meets: Meeting,
}

/// What a scenario would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScenarioOutcome {
    /// As it was written.
    pub scenario: String,
    /// Peak of a pod now in it, bytes.
    pub level_bytes: f64,
    /// Expected peak of a pod at the horizon, bytes.
    pub at_horizon_bytes: f64,
    /// The pod's limit in it.
    pub exhaustion: Option<Exhaustion>,
}

/// One container of one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkloadCapacity {
    /// Namespace.
    pub namespace: String,
    /// Owner of the pods.
    pub workload: String,
    /// Container.
    pub container: String,
    /// Pods now.
    pub replicas: usize,
    /// The line through the daily peaks of a pod; `None` with too few days.
    pub growth: Option<Line>,
    /// Seasons of a pod's use: length in seconds and strength.
    pub seasons: Vec<(f64, f64)>,
    /// Days to come.
    pub forecast: Vec<ForecastDay>,
    /// The pod's limit, when there is one.
    pub exhaustion: Option<Exhaustion>,
    /// What if.
    pub scenarios: Vec<ScenarioOutcome>,
    /// Daily peaks seen, oldest first, bytes.
    pub daily_peaks: Vec<f64>,
    /// What is missing for more.
    pub missing: Vec<String>,
}

/// All workloads together: their daily peaks, summed over replicas.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterCapacity {
    /// The line through the daily sums; `None` with too few days.
    pub growth: Option<Line>,
    /// Requests in force, bytes.
    pub requested_bytes: f64,
    /// Node allocatable and quota, as far as given.
    pub exhaustions: Vec<Exhaustion>,
    /// Days to come.
    pub forecast: Vec<ForecastDay>,
    /// Daily sums seen, oldest first, bytes.
    pub daily_peaks: Vec<f64>,
}

/// The document (`heapwatch.capacity/1`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapacityReport {
    schema: &'static str,
    /// End of the data, RFC 3339.
    pub now: Option<String>,
    /// End of the data, epoch seconds.
    pub now_s: f64,
    /// How far ahead it looks, days.
    pub horizon_days: f64,
    /// By time to the pod's limit, the soonest first.
    pub workloads: Vec<WorkloadCapacity>,
    /// All together.
    pub cluster: ClusterCapacity,
    /// What the source had to leave out or could not find.
    pub notes: Vec<String>,
}

/// The report. Leaks must have been looked for ([`Fleet::find_leaks`]) for `fix=` to know them.
pub fn plan(fleet: &Fleet, options: &CapacityOptions) -> CapacityReport {
    let now_s = fleet.now_s;
    let mut workloads: Vec<WorkloadCapacity> = fleet.workloads.iter().map(|w| of_workload(w, now_s, options)).collect();
    let soonest = |w: &WorkloadCapacity| {
        w.exhaustion.as_ref().and_then(|e| e.meets.expected_s.or(e.meets.earliest_s)).unwrap_or(f64::INFINITY)
    };
    workloads.sort_by(|a, b| soonest(a).total_cmp(&soonest(b)));
    CapacityReport {
        schema: "heapwatch.capacity/1",
        now: rfc3339(now_s),
        now_s,
        horizon_days: options.horizon_days,
        cluster: of_cluster(fleet, &workloads, options),
        workloads,
        notes: fleet.notes.clone(),
    }
}

fn of_workload(w: &Workload, now_s: f64, options: &CapacityOptions) -> WorkloadCapacity {
    let daily_peaks = days::as_used(w, now_s);
    let growth = Line::through(&daily_peaks);
    let limit = w.limit_bytes.filter(|b| *b > 0.0);
    let mut missing = Vec::new();
    let mut scenarios = Vec::new();
    if let Some(line) = growth {
        let start = start(w, &line, limit, now_s);
        for scenario in &options.scenarios {
            match outcome(&start, &line, scenario, now_s, options) {
                Ok(outcome) => scenarios.push(outcome),
                Err(unknown) => missing.push(unknown.to_string()),
            }
        }
    }
    if growth.is_none() {
        missing.push(format!("{} whole days; {MIN_DAYS} are needed for a trend", daily_peaks.len()));
    }
    if limit.is_none() {
        missing.push("no memory limit is known: no time to it".into());
    }
    WorkloadCapacity {
        namespace: w.namespace.clone(),
        workload: w.workload.clone(),
        container: w.container.clone(),
        replicas: w.replicas(now_s),
        seasons: seasons(w),
        forecast: growth.map_or_else(Vec::new, |line| forecast(&line, now_s, options.horizon_days)),
        exhaustion: growth.zip(limit).map(|(line, limit)| exhaustion("pod_limit", &line, limit, now_s)),
        scenarios,
        growth,
        daily_peaks,
        missing,
    }
}

/// The site that `fix=` takes when the process does not name the code.
const UNNAMED_LEAK: &str = "leak";

fn start(w: &Workload, line: &Line, limit_bytes: Option<f64>, now_s: f64) -> Situation {
    let lows = w.pods.iter().flat_map(|p| p.usage.buckets()).map(|(_, b)| f64::from(b.low));
    let idle = lows.reduce(f64::min).unwrap_or(0.0);
    let site = |l: &Leak| GrowingSite {
        site_id: l.site.clone().unwrap_or_else(|| UNNAMED_LEAK.to_owned()),
        growth_bytes_per_hour: l.rate_bytes_per_hour.max(line.per_day / 24.0),
    };
    Situation {
        used_bytes: line.level_bytes,
        load_share: (1.0 - idle / line.level_bytes.max(1.0)).clamp(0.0, 1.0),
        growth_bytes_per_hour: line.per_day / 24.0,
        limit_bytes,
        replicas: u32::try_from(w.replicas(now_s)).ok(),
        sites: w.leak.iter().map(site).collect(),
    }
}

fn outcome(
    start: &Situation,
    line: &Line,
    scenario: &Scenario,
    now_s: f64,
    options: &CapacityOptions,
) -> Result<ScenarioOutcome> {
    let after = start.under(scenario)?;
    let line = line.under(after.used_bytes, after.growth_bytes_per_hour * 24.0);
    Ok(ScenarioOutcome {
        scenario: scenario.name.clone(),
        level_bytes: line.level_bytes,
        at_horizon_bytes: line.after(options.horizon_days).0,
        exhaustion: after.limit_bytes.map(|limit| exhaustion("pod_limit", &line, limit, now_s)),
    })
}

fn exhaustion(of: &'static str, line: &Line, capacity_bytes: f64, now_s: f64) -> Exhaustion {
    let headroom_bytes = capacity_bytes - line.level_bytes;
    let headroom_ratio = headroom_bytes / capacity_bytes;
    Exhaustion { of, capacity_bytes, headroom_bytes, headroom_ratio, meets: line.meets(capacity_bytes, now_s) }
}

fn forecast(line: &Line, now_s: f64, horizon_days: f64) -> Vec<ForecastDay> {
    let days = horizon_days.clamp(0.0, 3650.0) as u32;
    let day = |d: u32| {
        let (mean, lower, upper) = line.after(f64::from(d));
        let timestamp_s = now_s + f64::from(d) * DAY_S;
        ForecastDay { timestamp: rfc3339(timestamp_s), timestamp_s, mean, lower, upper }
    };
    (1..=days).map(day).collect()
}

/// Seasons of the pod that was seen longest.
fn seasons(w: &Workload) -> Vec<(f64, f64)> {
    let Some(pod) = w.pods.iter().max_by_key(|p| p.usage.buckets().count()) else { return Vec::new() };
    let (times, means): (Vec<f64>, Vec<f64>) = pod.usage.buckets().filter_map(|(t, b)| Some((t, b.mean()?))).unzip();
    let series = Series::repaired(times, means, None);
    find_seasons(&series, &SeasonOptions::default()).iter().map(|s| (s.period_s, s.strength)).collect()
}

fn of_cluster(fleet: &Fleet, workloads: &[WorkloadCapacity], options: &CapacityOptions) -> ClusterCapacity {
    let mut by_age: BTreeMap<usize, f64> = BTreeMap::new();
    for w in workloads {
        for (age, peak) in w.daily_peaks.iter().rev().enumerate() {
            *by_age.entry(age).or_default() += peak * w.replicas as f64;
        }
    }
    let daily_peaks: Vec<f64> = by_age.into_values().rev().collect();
    let growth = Line::through(&daily_peaks);
    let requested = |w: &Workload| w.request_bytes.unwrap_or(0.0) * w.replicas(fleet.now_s) as f64;
    let requested_bytes = fleet.workloads.iter().map(requested).sum();
    let met = |of, capacity: Option<f64>| Some(exhaustion(of, &growth?, capacity?, fleet.now_s));
    let allocatable = met("node_allocatable", options.allocatable_bytes);
    let quota = options.quota_bytes.map(|capacity_bytes| {
        // A quota is on requests, which stand still until somebody changes them.
        let headroom_bytes = capacity_bytes - requested_bytes;
        let over = (headroom_bytes <= 0.0).then_some(fleet.now_s);
        let meets = Meeting::at(over, over, over);
        Exhaustion {
            of: "quota",
            capacity_bytes,
            headroom_bytes,
            headroom_ratio: headroom_bytes / capacity_bytes,
            meets,
        }
    });
    ClusterCapacity {
        forecast: growth.map_or_else(Vec::new, |line| forecast(&line, fleet.now_s, options.horizon_days)),
        exhaustions: allocatable.into_iter().chain(quota).collect(),
        growth,
        requested_bytes,
        daily_peaks,
    }
}
