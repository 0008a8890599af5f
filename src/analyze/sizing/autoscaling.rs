//! Whether to add pods or to resize them, and the figures for either.
//!
//! A HorizontalPodAutoscaler on memory only works when memory falls after load falls: else it scales up, the new pods
//! fill too, and it never scales down. So it is proposed only where each pod's use falls by [`ELASTIC_FALL`] or more on
//! most days. Everything else gets a VerticalPodAutoscaler; a leak gets neither, as both would pay for it.

use serde::Serialize;

use super::amount;
use super::days::DAY_S;
use super::workload::Workload;

/// Memory follows load when it falls by this share of the day's peak …
pub const ELASTIC_FALL: f64 = 0.3;
/// … on this share of days.
pub const ELASTIC_DAYS: f64 = 0.7;
/// HPA target as a share of the request.
pub const TARGET_UTILIZATION: f64 = 0.8;
/// How long the HPA waits before it takes pods away: allocators give memory back late.
pub const SCALE_DOWN_S: u32 = 600;
/// Fewer days say nothing about a rhythm.
const MIN_DAYS: usize = 3;

/// What to do with replicas.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Autoscaling {
    /// Which object is proposed.
    pub kind: Kind,
    /// Why this and not the other.
    pub why: String,
    /// Pods now.
    pub replicas: usize,
    /// The HPA, when that is proposed.
    pub hpa: Option<Hpa>,
    /// The VPA, when that is proposed.
    pub vpa: Option<Vpa>,
    /// What to mind: disruption budgets, in-place resize.
    pub warnings: Vec<String>,
}

/// Which object is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// HorizontalPodAutoscaler.
    Hpa,
    /// VerticalPodAutoscaler.
    Vpa,
    /// Neither.
    None,
}

/// A HorizontalPodAutoscaler on memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hpa {
    /// Always `memory`.
    pub metric: &'static str,
    /// Mean use over request, percent.
    pub target_utilization_percent: u32,
    /// Fewest pods.
    pub min_replicas: usize,
    /// Most pods.
    pub max_replicas: usize,
    /// Wait before scaling down, seconds.
    pub scale_down_stabilization_s: u32,
}

/// A VerticalPodAutoscaler for memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Vpa {
    /// `Initial`, `Recreate`, …
    pub update_mode: &'static str,
    /// Least it may set, bytes.
    pub min_allowed_bytes: u64,
    /// Most it may set, bytes.
    pub max_allowed_bytes: u64,
    /// Pods that must run before it evicts one.
    pub min_replicas: usize,
}

/// The proposal. `request`, `lower` and `upper` are the recommendation's, bytes.
pub fn propose(workload: &Workload, now_s: f64, request: u64, lower: u64, upper: u64) -> Autoscaling {
    let replicas = workload.replicas(now_s);
    let fall = daily_fall(workload);
    let daemon = workload.kind.as_deref() == Some("DaemonSet");
    let kind = match fall {
        _ if workload.leak.is_some() => Kind::None,
        Some(fall) if fall >= ELASTIC_FALL && replicas > 1 && !daemon => Kind::Hpa,
        _ => Kind::Vpa,
    };
    Autoscaling {
        kind,
        why: why(kind, fall, workload, replicas, daemon),
        replicas,
        hpa: (kind == Kind::Hpa).then(|| hpa(replicas, fall.unwrap_or(0.0), request, upper)),
        vpa: (kind == Kind::Vpa).then(|| vpa(replicas, lower, upper)),
        warnings: warnings(replicas, workload, request),
    }
}

fn hpa(replicas: usize, fall: f64, request: u64, upper: u64) -> Hpa {
    let per_pod = (request as f64 * TARGET_UTILIZATION).max(1.0);
    let most = (replicas as f64 * upper as f64 / per_pod).ceil() as usize;
    let least = (replicas as f64 * (1.0 - fall)).ceil() as usize;
    Hpa {
        metric: "memory",
        target_utilization_percent: (TARGET_UTILIZATION * 100.0) as u32,
        min_replicas: least.max(2),
        max_replicas: most.max(replicas + 1).max(3),
        scale_down_stabilization_s: SCALE_DOWN_S,
    }
}

fn vpa(replicas: usize, lower: u64, upper: u64) -> Vpa {
    let alone = replicas < 2;
    Vpa {
        update_mode: if alone { "Initial" } else { "Recreate" },
        min_allowed_bytes: lower.min(upper),
        max_allowed_bytes: upper,
        min_replicas: if alone { 1 } else { 2 },
    }
}

fn why(kind: Kind, fall: Option<f64>, workload: &Workload, replicas: usize, daemon: bool) -> String {
    let percent = |f: f64| format!("{:.0} %", f * 100.0);
    match (kind, fall) {
        (Kind::None, _) => "it leaks: more pods or more memory would pay for the leak and not end it".into(),
        (Kind::Hpa, Some(f)) => format!(
            "use falls by {} of the day's peak on most days, so it follows load and more pods share it",
            percent(f)
        ),
        (_, Some(f)) if f >= ELASTIC_FALL && daemon => "one pod a node: replicas are not free to choose".into(),
        (_, Some(f)) if f >= ELASTIC_FALL => {
            format!("use falls by {} a day, but with {replicas} pod there is none to take away", percent(f))
        }
        (_, Some(f)) => format!(
            "use falls by only {} a day: an HPA on memory would scale up and never down; resize the pods instead",
            percent(f)
        ),
        (_, None) => format!(
            "{} days seen do not show whether use falls with load; an HPA on memory is not safe before they do",
            workload.first_s().zip(workload.last_s()).map_or(0.0, |(a, b)| ((b - a) / DAY_S).floor())
        ),
    }
}

fn warnings(replicas: usize, workload: &Workload, request: u64) -> Vec<String> {
    let mut out = Vec::new();
    if replicas == 1 {
        out.push(
            "one replica: a PodDisruptionBudget with minAvailable 1 blocks every eviction, and without one each resize by \
             eviction is an outage; the VPA evicts a single pod only with minReplicas 1"
                .into(),
        );
    }
    let now = workload.limit_bytes.or(workload.request_bytes);
    if now.is_some_and(|now| (request as f64) < now) {
        out.push(
            "in-place resize (Kubernetes 1.33 and later): lowering a memory limit under what is in use is refused until use \
             has fallen; set resizePolicy RestartContainer for memory, or roll the pods"
                .into(),
        );
    } else {
        out.push(format!(
            "in-place resize (Kubernetes 1.33 and later): raising memory to {} needs no restart",
            amount::quantity(request)
        ));
    }
    out
}

/// By what share of its peak a pod's hourly mean falls within a day: the value that [`ELASTIC_DAYS`] of all days reach.
/// Days on which a process started are left out: a new one is small for another reason. `None` under [`MIN_DAYS`] days.
fn daily_fall(workload: &Workload) -> Option<f64> {
    let mut falls: Vec<f64> = workload.pods.iter().flat_map(|p| falls_of(&p.usage)).collect();
    if falls.len() < MIN_DAYS {
        return None;
    }
    falls.sort_by(f64::total_cmp);
    let rank = ((1.0 - ELASTIC_DAYS) * (falls.len() - 1) as f64).round() as usize;
    falls.get(rank).copied()
}

fn falls_of(usage: &super::usage::Usage) -> Vec<f64> {
    let hours: Vec<(f64, f64)> = usage.buckets().filter_map(|(t, b)| Some((t, b.mean()?))).collect();
    let Some(&(first_s, _)) = hours.first() else { return Vec::new() };
    let day = |t: f64| ((t - first_s) / DAY_S) as usize;
    let days = hours.chunk_by(|a, b| day(a.0) == day(b.0));
    // The first day holds the start-up.
    let whole = days.skip(1).filter(|d| d.len() as f64 * usage.width_s() >= 0.9 * DAY_S);
    whole
        .filter_map(|d| {
            let high = d.iter().map(|h| h.1).fold(0.0, f64::max);
            let low = d.iter().map(|h| h.1).fold(f64::INFINITY, f64::min);
            (high > 0.0).then(|| 1.0 - low / high)
        })
        .collect()
}
