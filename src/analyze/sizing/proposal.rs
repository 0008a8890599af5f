//! Each strategy's answer in one form, so that what follows (rounding, status, savings) is the same for all.

use super::workload::Workload;
use super::{Options, Strategy, krr, ours, vpa};

/// What a strategy says, unrounded.
pub(super) struct Proposal {
    pub(super) request: f64,
    pub(super) limit: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) confidence: f64,
    pub(super) startup_peak: Option<f64>,
    pub(super) reasons: Vec<String>,
}

/// What the strategy asked for says; `None` when its rule has too little to go on.
pub(super) fn propose(workload: &Workload, now_s: f64, options: &Options) -> Option<Proposal> {
    match options.strategy {
        Strategy::Ours => propose_ours(workload, now_s, options),
        Strategy::Vpa => propose_vpa(workload),
        Strategy::Krr => propose_krr(workload, now_s),
    }
}

fn propose_ours(workload: &Workload, now_s: f64, options: &Options) -> Option<Proposal> {
    let e = ours::estimate(workload, now_s, options)?;
    Some(Proposal {
        request: e.request,
        limit: e.limit,
        lower: e.lower,
        upper: e.upper,
        confidence: e.confidence,
        startup_peak: e.startup_peak,
        reasons: e.reasons,
    })
}

fn propose_vpa(workload: &Workload) -> Option<Proposal> {
    let mut peaks = vpa::MemoryPeaks::default();
    for pod in &workload.pods {
        feed_vpa(&pod.usage, workload.request_bytes.or(workload.limit_bytes), &mut peaks);
    }
    let e = vpa::estimate(&peaks, workload.containers_per_pod)?;
    // The recommender sets requests; its updater keeps the ratio of limit to request.
    let ratio =
        workload.limit_bytes.zip(workload.request_bytes).map_or(1.0, |(l, r)| if r > 0.0 { l / r } else { 1.0 });
    let days = peaks.confidence();
    Some(Proposal {
        request: e.target,
        limit: e.target * ratio,
        lower: e.lower,
        upper: e.upper,
        confidence: days / (days + 1.0),
        startup_peak: None,
        reasons: vec!["the Vertical Pod Autoscaler's rule: p90 of fading daily peaks, plus 15 %".into()],
    })
}

/// Feeds one pod's record to the VPA's model: usage and OOM kills in order of time.
fn feed_vpa(usage: &super::usage::Usage, request: Option<f64>, peaks: &mut vpa::MemoryPeaks) {
    let (Some(first_s), Some(last_s)) = (usage.first_s(), usage.last_s()) else { return };
    let mut window = vpa::Window::default();
    let mut ooms = usage.ooms().iter().peekable();
    for (at_s, bucket) in usage.buckets() {
        window.add(at_s, bucket.peak, peaks);
        while let Some(oom) = ooms.next_if(|o| o.at_s < at_s + usage.width_s()) {
            window.record_oom(oom.at_s, oom.limit_bytes.or(request).unwrap_or(0.0), peaks);
        }
    }
    for oom in ooms {
        window.record_oom(oom.at_s, oom.limit_bytes.or(request).unwrap_or(0.0), peaks);
    }
    peaks.saw(usage.samples(), first_s, last_s);
}

fn propose_krr(workload: &Workload, now_s: f64) -> Option<Proposal> {
    let from_s = now_s - krr::HISTORY_S;
    let recent = || workload.pods.iter().flat_map(|p| p.usage.buckets()).filter(|(t, _)| *t >= from_s).map(|(_, b)| b);
    let peak = recent().map(|b| b.peak).fold(0.0, f64::max);
    let points = recent().map(|b| u64::from(b.count)).sum();
    let ooms = workload.ooms();
    let killed = ooms.iter().filter(|o| o.at_s >= from_s).filter_map(|o| o.limit_bytes.or(workload.limit_bytes));
    let both = krr::estimate(peak, points, killed.fold(0.0, f64::max))?;
    Some(Proposal {
        request: both,
        limit: both,
        lower: peak,
        upper: both,
        confidence: (points as f64 / (points + krr::POINTS_REQUIRED) as f64).min(1.0),
        startup_peak: None,
        reasons: vec!["KRR's rule: highest sample of 14 days, plus 15 %".into()],
    })
}
