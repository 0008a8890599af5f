//! The verdict on the process: its leaking sites by rate, and when the limit will be hit.

use std::collections::HashMap;
use std::sync::Arc;

use super::retained::Retained;
use super::site::{self, LEAK_FROM, SiteFinding};
use super::words;
use crate::analyze::severity::Thresholds;
use crate::snapshot::{Site, Snapshot};

/// What is said of the process.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Whether any site leaks.
    pub leak: bool,
    /// Of the surest finding, 0–1.
    pub confidence: f64,
    /// Bytes an hour that the leaks add up to: estimate, lower and upper end of a 95 % interval.
    pub rate_bytes_per_hour: [f64; 3],
    /// When the limit is hit at that rate.
    pub exhaustion: Option<Exhaustion>,
    /// One sentence for whoever is on call.
    pub summary: String,
    /// Leaking sites, fastest first.
    pub leaks: Vec<SiteFinding>,
    /// Sites that grow without being called leaks, surest first: what to look at next.
    pub suspects: Vec<SiteFinding>,
}

/// When memory runs out, epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exhaustion {
    /// At the estimated rate.
    pub at_s: f64,
    /// At the upper end of the rate.
    pub earliest_s: f64,
    /// At the lower end; `None` if that is no growth.
    pub latest_s: Option<f64>,
}

/// Suspects that are kept.
const SUSPECTS: usize = 10;

/// Judges a snapshot.
pub fn verdict(snapshot: &Snapshot, thresholds: &Thresholds) -> Verdict {
    let (start, now) = (snapshot.process.started_at_s, snapshot.taken_at_s);
    let sites = snapshot.sites.iter().filter(|s| s.usage.live_samples > 0);
    let mut findings: Vec<SiteFinding> = sites.filter_map(|s| site::finding(s, start, now, thresholds)).collect();
    together(snapshot, &mut findings, thresholds);
    let (mut leaks, mut suspects): (Vec<_>, Vec<_>) = findings.into_iter().partition(|f| f.leak);
    leaks.sort_by(|a, b| b.rate_bytes_per_hour[0].total_cmp(&a.rate_bytes_per_hour[0]));
    suspects.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    suspects.truncate(SUSPECTS);
    let rate = total_rate(&leaks);
    for f in leaks.iter_mut().chain(&mut suspects) {
        f.share_of_growth = if rate[0] > 0.0 { (f.rate_bytes_per_hour[0] / rate[0]).clamp(0.0, 1.0) } else { 0.0 };
    }
    let exhaustion = (!leaks.is_empty()).then(|| exhaustion(snapshot, rate)).flatten();
    Verdict {
        leak: !leaks.is_empty(),
        confidence: leaks.iter().map(|f| f.confidence).fold(0.0, f64::max),
        rate_bytes_per_hour: rate,
        exhaustion,
        summary: summary(snapshot, &leaks, rate, exhaustion),
        leaks,
        suspects,
    }
}

/// A leak that many paths feed a little each is too thin on any one of them. Sites of one responsible function are looked at
/// together; what they then show is said of the largest of them.
fn together(snapshot: &Snapshot, findings: &mut Vec<SiteFinding>, thresholds: &Thresholds) {
    let (start, now) = (snapshot.process.started_at_s, snapshot.taken_at_s);
    let leaking: Vec<u64> = findings.iter().filter(|f| f.leak).map(|f| f.site.id).collect();
    let mut by_function: HashMap<&str, Vec<&Arc<Site>>> = HashMap::new();
    for site in snapshot.sites.iter().filter(|s| s.usage.live_samples > 0 && !leaking.contains(&s.id)) {
        if let Some(frame) = site.application_frame.and_then(|i| site.stack.get(i)) {
            by_function.entry(&frame.function).or_default().push(site);
        }
    }
    let mut found: Vec<SiteFinding> = Vec::new();
    for sites in by_function.values().filter(|s| s.len() > 1) {
        let Some(largest) = sites.iter().max_by(|a, b| a.usage.live_bytes.value.total_cmp(&b.usage.live_bytes.value))
        else {
            continue;
        };
        let judged = sum_of(sites, start, now).and_then(site::judged).filter(|(_, _, c)| *c >= LEAK_FROM);
        if let Some((r, g, confidence)) = judged {
            let mut finding = site::of_growth(largest, &r, &g, confidence, thresholds);
            finding.evidence.push(format!("{} call paths through this function together", sites.len()));
            found.push(finding);
        }
    }
    findings.retain(|f| !found.iter().any(|g| g.site.id == f.site.id));
    findings.extend(found);
}

fn sum_of(sites: &[&Arc<Site>], start_s: f64, now_s: f64) -> Option<Retained> {
    let longest = sites.iter().max_by_key(|s| s.history.aged.len())?;
    let ages: Vec<f64> = longest.history.aged.iter().map(|a| a.min_age_s).collect();
    let windows = site::windows(start_s, now_s, &ages);
    let whole = windows.first()?;
    whole.iter().find_map(|w| {
        let of = |s: &&Arc<Site>| Retained::of(&s.history, w.age_s, w.from_s, w.to_s);
        let mut parts = sites.iter().filter_map(of);
        let mut sum = parts.next()?;
        parts.for_each(|part| sum.add(&part));
        (sum.samples() >= 6.0).then_some(sum)
    })
}

/// Rates add up; the errors of the sites are independent, so their squares do.
fn total_rate(leaks: &[SiteFinding]) -> [f64; 3] {
    let sum: f64 = leaks.iter().map(|f| f.rate_bytes_per_hour[0]).sum();
    let root = |end: usize| {
        let square = |f: &SiteFinding| (f.rate_bytes_per_hour[end] - f.rate_bytes_per_hour[0]).powi(2);
        leaks.iter().map(square).sum::<f64>().sqrt()
    };
    [sum, (sum - root(1)).max(0.0), sum + root(2)]
}

fn exhaustion(snapshot: &Snapshot, rate: [f64; 3]) -> Option<Exhaustion> {
    let limit = snapshot.memory.limit.as_ref()?;
    let used = limit.working_set_bytes.or(limit.usage_bytes).or(snapshot.memory.rss_bytes)?;
    let left = limit.bytes.saturating_sub(used) as f64;
    let at = |bytes_per_hour: f64| snapshot.taken_at_s + left / bytes_per_hour * 3600.0;
    (rate[0] > 0.0).then(|| Exhaustion {
        at_s: at(rate[0]),
        earliest_s: at(rate[2]),
        latest_s: (rate[1] > 0.0).then(|| at(rate[1])),
    })
}

fn summary(snapshot: &Snapshot, leaks: &[SiteFinding], rate: [f64; 3], exhaustion: Option<Exhaustion>) -> String {
    let Some(first) = leaks.first() else {
        return if snapshot.uptime_s < 20.0 {
            format!(
                "no verdict yet: {} of history, growth is judged from about 20 s on",
                words::duration(snapshot.uptime_s)
            )
        } else {
            let live = words::bytes(snapshot.totals.live_bytes() as f64);
            format!("no leak: no call site retains more and more; {live} live")
        };
    };
    let frame = first.responsible_frame.and_then(|i| first.site.stack.get(i));
    let function = frame.map_or("code without a name", |f| &f.function);
    let what = first.site.type_name.as_ref().map_or(String::new(), |t| format!(" of {t}"));
    let others = match leaks.len() - 1 {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let when = exhaustion.map_or(", no memory limit is known".into(), |e| {
        let latest = e.latest_s.map_or("later".into(), |l| words::duration(l - snapshot.taken_at_s));
        format!(
            "; the limit is reached in {} (between {} and {latest})",
            words::duration(e.at_s - snapshot.taken_at_s),
            words::duration(e.earliest_s - snapshot.taken_at_s),
        )
    });
    format!("{function} leaks {}{what}{others}, {} sure{when}", words::rate(rate[0]), words::percent(first.confidence))
}
