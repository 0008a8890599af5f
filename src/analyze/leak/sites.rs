//! Which of many call sites leaks: one verdict a site, the worst first.

use serde::Serialize;

use super::history::History;
use super::options::LeakOptions;
use super::verdict::LeakVerdict;
use crate::analyze::series::Series;

/// A site and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedSite<K> {
    /// What the caller calls the site.
    pub site: K,
    /// 1 for the worst.
    pub rank: usize,
    /// Share of the growth of all leaking sites together, 0 to 1.
    pub share_of_growth: f64,
    /// The verdict at the end of its series; without alarms, which only a detector that watched can have raised.
    pub verdict: LeakVerdict,
}

/// Verdicts on the sites' series, leaks first, then by confidence times rate. Costs one look a site; memory is one verdict a
/// site.
pub fn rank_sites<'a, K>(
    sites: impl IntoIterator<Item = (K, &'a Series)>,
    options: &LeakOptions,
) -> Vec<RankedSite<K>> {
    let mut out: Vec<RankedSite<K>> = sites
        .into_iter()
        .map(|(site, series)| RankedSite { site, rank: 0, share_of_growth: 0.0, verdict: at_end(series, options) })
        .collect();
    let weight = |s: &RankedSite<K>| s.verdict.confidence * s.verdict.rate_bytes_per_hour;
    out.sort_by(|a, b| {
        b.verdict
            .leak
            .cmp(&a.verdict.leak)
            .then(weight(b).total_cmp(&weight(a)))
            .then(b.verdict.confidence.total_cmp(&a.verdict.confidence))
    });
    let all: f64 = out.iter().map(|s| s.verdict.rate_bytes_per_hour).sum();
    for (i, site) in out.iter_mut().enumerate() {
        site.rank = i + 1;
        site.share_of_growth = if all > 0.0 { site.verdict.rate_bytes_per_hour / all } else { 0.0 };
    }
    out
}

fn at_end(series: &Series, options: &LeakOptions) -> LeakVerdict {
    let mut history = History::default();
    let load = |i: usize| series.load().and_then(|l| l.get(i).copied()).unwrap_or(0.0);
    for (i, (t, v)) in series.times_s().iter().zip(series.values()).enumerate() {
        history.push(*t, *v, load(i));
    }
    LeakVerdict::of(&history, series.load().is_some(), options, Vec::new())
}
