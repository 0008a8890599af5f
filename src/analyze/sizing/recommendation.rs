//! One answer for one workload: status, target, bounds, what it saves, and why.

use serde::Serialize;

use super::autoscaling::{self, Autoscaling};
use super::days::DAY_S;
use super::proposal::{Proposal, propose};
use super::usage::Rejected;
use super::workload::Workload;
use super::{Options, Strategy, amount, efficiency};

/// Less history gives no recommendation by `ours`.
pub const MIN_HISTORY_S: f64 = DAY_S;
/// Fewer samples give no recommendation.
pub const MIN_SAMPLES: u64 = 24;
/// A workload that nobody has seen for so long is gone.
pub const GONE_S: f64 = 3.0 * DAY_S;
/// More samples than this share under any container's size are in other units than bytes.
const MAX_TINY: f64 = 0.05;

/// What a workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// More is requested than needed.
    OverProvisioned,
    /// Less is requested, or allowed, than needed.
    UnderProvisioned,
    /// Fits.
    RightSized,
    /// Grows without need; the target is for the service without the leak.
    Leaking,
    /// Too little is known; `missing` says what.
    InsufficientData,
}

/// Request and limit, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Resources {
    /// What the scheduler sets aside.
    pub request_bytes: Option<u64>,
    /// What the kernel kills at.
    pub limit_bytes: Option<u64>,
}

/// A leak and how long the limits last with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeakNote {
    /// Growth of one pod.
    pub rate_bytes_per_hour: f64,
    /// How sure, 0–1.
    pub confidence: f64,
    /// The code that leaks, when known.
    pub site: Option<String>,
    /// Days until the target limit is reached from now.
    pub limit_lasts_days: f64,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Samples used.
    pub samples: u64,
    /// Days from the first to the last.
    pub days: f64,
    /// Highest use of any pod, bytes.
    pub peak_bytes: u64,
    /// Mean use of a pod, bytes.
    pub mean_bytes: u64,
    /// Highest use at the start of a process, when above the steady peak, bytes.
    pub startup_peak_bytes: Option<u64>,
    /// OOM kills.
    pub oom_kills: u64,
    /// Samples refused, by cause.
    pub rejected: Rejected,
}

/// The answer. Field names are the contract's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// Namespace.
    pub namespace: String,
    /// Owner of the pods.
    pub workload: String,
    /// Kind of the owner, when known.
    pub kind: Option<String>,
    /// Container.
    pub container: String,
    /// Over, under, right, leaking, or unknown.
    pub status: Status,
    /// Whose rule.
    pub strategy: Strategy,
    /// In force now.
    pub current: Resources,
    /// To set.
    pub target: Resources,
    /// The highest use expected, without any margin (the VPA's lower bound for `vpa`).
    pub lower_bound_bytes: Option<u64>,
    /// The limit at a tenth of the risk (the VPA's upper bound for `vpa`).
    pub upper_bound_bytes: Option<u64>,
    /// 0–1; grows with days seen.
    pub confidence: f64,
    /// min/max of what is requested and what is needed, 0–1; `None` without a request.
    pub efficiency_score: Option<f64>,
    /// Request saved over all replicas; negative when more is needed.
    pub savings_bytes: i64,
    /// The same as money a month, when a price was given.
    pub savings_per_month: Option<f64>,
    /// QoS class now and after, and what that changes.
    pub qos: Option<String>,
    /// The leak, when there is one.
    pub leak: Option<LeakNote>,
    /// What shaped the target.
    pub reasons: Vec<String>,
    /// What is missing for a recommendation, or stands beside it as a gap.
    pub missing: Vec<String>,
    /// What was seen.
    pub seen: Seen,
    /// Replicas: HPA, VPA or neither.
    pub autoscaling: Option<Autoscaling>,
}

/// The recommendation for `workload` as seen at `now_s` (epoch seconds; the end of the data). A leak must have been set by
/// [`Workload::find_leak`] or by who knows the code before.
pub fn recommend(workload: &Workload, now_s: f64, options: &Options) -> Recommendation {
    let mut out = blank(workload, options);
    let refusals = refusals(workload, now_s, options);
    let proposal = if refusals.is_empty() { propose(workload, now_s, options) } else { None };
    out.missing = refusals;
    match proposal {
        Some(p) => out.fill(p, workload, now_s, options),
        None if out.missing.is_empty() => out.missing.push("no usable sample".into()),
        None => {}
    }
    out.missing.extend(gaps(workload));
    out
}

fn blank(workload: &Workload, options: &Options) -> Recommendation {
    let whole = |b: Option<f64>| b.filter(|b| b.is_finite() && *b >= 0.0).map(|b| b as u64);
    Recommendation {
        namespace: workload.namespace.clone(),
        workload: workload.workload.clone(),
        kind: workload.kind.clone(),
        container: workload.container.clone(),
        status: Status::InsufficientData,
        strategy: options.strategy,
        current: Resources { request_bytes: whole(workload.request_bytes), limit_bytes: whole(workload.limit_bytes) },
        target: Resources::default(),
        lower_bound_bytes: None,
        upper_bound_bytes: None,
        confidence: 0.0,
        efficiency_score: None,
        savings_bytes: 0,
        savings_per_month: None,
        qos: None,
        leak: None,
        reasons: Vec::new(),
        missing: Vec::new(),
        seen: seen(workload),
        autoscaling: None,
    }
}

fn seen(workload: &Workload) -> Seen {
    let span_s = workload.first_s().zip(workload.last_s()).map_or(0.0, |(a, b)| b - a);
    Seen {
        samples: workload.samples(),
        days: span_s / DAY_S,
        peak_bytes: workload.peak() as u64,
        mean_bytes: workload.mean().unwrap_or(0.0) as u64,
        startup_peak_bytes: None,
        oom_kills: workload.oom_kills(),
        rejected: workload.rejected(),
    }
}

/// Why no recommendation can be made; empty when one can.
fn refusals(workload: &Workload, now_s: f64, options: &Options) -> Vec<String> {
    let mut out = Vec::new();
    let Some((first_s, last_s)) = workload.first_s().zip(workload.last_s()) else {
        return vec!["no usable sample".into()];
    };
    let hours = (last_s - first_s) / 3600.0;
    if options.strategy == Strategy::Ours && last_s - first_s < MIN_HISTORY_S * 0.95 {
        out.push(format!("{hours:.1} h of history; {:.0} h are needed", MIN_HISTORY_S / 3600.0));
    }
    if workload.samples() < MIN_SAMPLES {
        out.push(format!("{} samples; {MIN_SAMPLES} are needed", workload.samples()));
    }
    if now_s - last_s > GONE_S {
        out.push(format!("no pod has been seen for {:.1} days: the workload is gone", (now_s - last_s) / DAY_S));
    }
    let tiny = tiny_ratio(workload);
    if tiny > MAX_TINY {
        let share = tiny * 100.0;
        out.push(format!(
            "{share:.0} % of the values are too small for a container's bytes: mixed units (MiB or KiB among bytes)?"
        ));
    }
    out
}

fn tiny_ratio(workload: &Workload) -> f64 {
    let tiny: f64 = workload.pods.iter().map(|p| p.usage.tiny_ratio() * p.usage.samples() as f64).sum();
    tiny / workload.samples().max(1) as f64
}

/// What a reader must know about the data even when there is a recommendation.
fn gaps(workload: &Workload) -> Vec<String> {
    let rejected = workload.rejected();
    let causes = [
        (rejected.not_finite, "not a number"),
        (rejected.negative, "negative"),
        (rejected.absurd, "absurdly large"),
        (rejected.duplicate, "a second value for one time"),
        (rejected.far_off, "at a time far from all others"),
    ];
    let mut out: Vec<String> = causes
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| format!("{count} samples left out: {cause}"))
        .collect();
    let unseen = unseen_ratio(workload);
    if unseen > 0.1 {
        out.push(format!("{:.0} % of the time between first and last sample has no samples", unseen * 100.0));
    }
    out
}

/// Share of the time from first to last sample in which no pod was seen, 0–1.
fn unseen_ratio(workload: &Workload) -> f64 {
    let Some((first_s, last_s)) = workload.first_s().zip(workload.last_s()) else { return 0.0 };
    let width_s = workload.pods.iter().map(|p| p.usage.width_s()).fold(0.0, f64::max);
    let count = ((last_s - first_s) / width_s.max(1.0)).floor() as usize + 1;
    let mut seen = vec![false; count];
    for (at_s, _) in workload.pods.iter().flat_map(|p| p.usage.buckets()) {
        if let Some(slot) = seen.get_mut(((at_s - first_s).max(0.0) / width_s.max(1.0)).round() as usize) {
            *slot = true;
        }
    }
    1.0 - seen.iter().filter(|s| **s).count() as f64 / count as f64
}

impl Recommendation {
    fn fill(&mut self, p: Proposal, workload: &Workload, now_s: f64, options: &Options) {
        let (request, mut limit) = self.rounded(&p);
        self.reasons = p.reasons;
        self.confidence = p.confidence;
        self.seen.startup_peak_bytes = p.startup_peak.map(|b| b as u64);
        if let Some(leak) = workload.leak.as_ref().filter(|_| options.strategy == Strategy::Ours) {
            // A fixed allowance, not what has leaked so far: the limit does not grow with the leak.
            let allowance = leak.rate_bytes_per_hour * 24.0 * options.leak_runway_days;
            let lasting = self.bound(p.limit + allowance.clamp(0.0, p.limit));
            limit = lasting.max(self.current.limit_bytes.unwrap_or(0).min(lasting * 2));
            self.note_leak(leak, workload, now_s, limit);
        }
        self.target = Resources { request_bytes: Some(request), limit_bytes: Some(limit) };
        self.lower_bound_bytes = Some(self.bound(p.lower));
        self.upper_bound_bytes = Some(self.bound(p.upper).max(limit));
        self.judge(request, limit);
        self.weigh(request, workload.replicas(now_s), options);
        self.note_context(workload);
        let upper = self.upper_bound_bytes.unwrap_or(limit);
        self.autoscaling =
            Some(autoscaling::propose(workload, now_s, request, self.lower_bound_bytes.unwrap_or(request), upper));
    }

    fn rounded(&self, p: &Proposal) -> (u64, u64) {
        let (request, limit) = (self.bound(p.request), self.bound(p.limit));
        (request.min(limit), limit)
    }

    /// Ours is rounded up to short figures; the others stay as their rule gives them.
    fn bound(&self, bytes: f64) -> u64 {
        if self.strategy == Strategy::Ours { amount::round_up(bytes) } else { bytes.max(0.0) as u64 }
    }

    fn judge(&mut self, request: u64, limit: u64) {
        let below =
            |current: Option<u64>, needed: u64| current.is_some_and(|c| (c as f64) < needed as f64 * efficiency::UNDER);
        let over = self.current.request_bytes.is_some_and(|c| c as f64 > request as f64 * efficiency::OVER);
        self.status = if self.leak.is_some() {
            Status::Leaking
        } else if below(self.current.limit_bytes, limit) || below(self.current.request_bytes, request) {
            Status::UnderProvisioned
        } else if self.current.request_bytes.is_none() {
            self.reasons.push("no memory request: the pod is the first to be evicted when the node is short".into());
            Status::UnderProvisioned
        } else if over {
            Status::OverProvisioned
        } else {
            Status::RightSized
        };
    }

    fn weigh(&mut self, request: u64, replicas: usize, options: &Options) {
        let Some(current) = self.current.request_bytes else { return };
        self.efficiency_score = efficiency::score(current as f64, request as f64);
        let saved = (current as f64 - request as f64) * replicas as f64;
        self.savings_bytes = saved as i64;
        self.savings_per_month = options.price_per_gib_month.map(|price| efficiency::money_per_month(saved, price));
        self.qos = Some(qos(&self.current, &self.target));
    }

    fn note_leak(&mut self, leak: &super::workload::Leak, workload: &Workload, now_s: f64, limit: u64) {
        let alive = workload.pods.iter().filter_map(|p| p.usage.buckets().next_back());
        let level = alive.filter(|(t, _)| now_s - t < DAY_S).map(|(_, b)| b.peak).fold(0.0, f64::max);
        let days = ((limit as f64 - level).max(0.0) / leak.rate_bytes_per_hour / 24.0).min(3650.0);
        let site = leak.site.as_deref().unwrap_or("the code that grows");
        self.reasons.push(format!(
            "leaking {} an hour: fix {site}; until then a limit of {} lasts {days:.1} days. The request is what the service              needs without the leak, and the limit does not grow with it",
            amount::text(leak.rate_bytes_per_hour),
            amount::quantity(limit),
        ));
        self.leak = Some(LeakNote {
            rate_bytes_per_hour: leak.rate_bytes_per_hour,
            confidence: leak.confidence,
            site: leak.site.clone(),
            limit_lasts_days: days,
        });
    }

    fn note_context(&mut self, workload: &Workload) {
        let peak = workload.peak();
        if let Some(cache) = workload.reclaimable_bytes.filter(|c| *c > 0.05 * peak) {
            self.reasons.push(format!(
                "{} of the peak working set is page cache, which the kernel takes back before it kills",
                amount::text(cache)
            ));
        }
        if let Some(ratio) = workload.allocator_overhead_ratio.filter(|r| *r > 0.25) {
            self.reasons.push(format!(
                "{:.0} % of resident memory is held by the allocator without live blocks: tune it before paying for it",
                ratio * 100.0
            ));
        }
        if self.current.request_bytes.is_some_and(|r| peak > 0.0 && r as f64 > 500.0 * peak) {
            self.reasons
                .push("the request is over 500 times the highest use: are usage and request in one unit?".into());
        }
    }
}

/// QoS class by memory now and after; CPU can lower it further.
fn qos(current: &Resources, target: &Resources) -> String {
    let class = |r: &Resources| match (r.request_bytes, r.limit_bytes) {
        (None, None) => "BestEffort",
        (Some(a), Some(b)) if a == b => "Guaranteed",
        _ => "Burstable",
    };
    match (class(current), class(target)) {
        (a, b) if a == b => format!("stays {a}"),
        (a, "Guaranteed") => format!("{a} becomes Guaranteed if CPU request and limit are equal too: evicted last"),
        (a, b) => format!("{a} becomes {b}: under node pressure evicted once use is above the request"),
    }
}
