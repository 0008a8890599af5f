//! What changed between two reports or two profiles, `heapwatch.diff/1`: call sites by growth, per request if the load is known.
//!
//! Sites are matched by `site_id`, which holds across restarts and deploys that keep the names; stacks of profiles by their functions.
//! Two reports of one run share their load: growth is divided by what was served between them. Of two runs each is divided by
//! its own load first. A report lists a bounded number of sites: one that is missing counts as 0 and is marked as not listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{FrameLine, Report, SiteLine};
use crate::error::Result;
use crate::export::pprof::{self, Delta, Profile};

/// The schema that this version writes.
pub const SCHEMA: &str = "heapwatch.diff/1";
/// The column of a profile that is compared.
const COLUMN: &str = "inuse_space";
const GIGABYTE: f64 = 1e9;

/// The whole document.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Diff {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The older side.
    pub before: Side,
    /// The newer side.
    pub after: Side,
    /// Seconds from one to the other; negative when they were given the wrong way round.
    pub elapsed_s: f64,
    /// Both are of one run of one process.
    pub same_run: bool,
    /// What the growth is divided by; `None` where neither requests nor allocations are known.
    pub load: Option<Load>,
    /// Sum over the listed sites.
    pub growth_bytes: f64,
    /// Sites that changed, the largest growth first.
    pub sites: Vec<SiteDiff>,
    /// What a reader must know before trusting it.
    pub notes: Vec<String>,
}

/// One of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// What it was read from.
    pub name: String,
    /// When it was taken, epoch seconds.
    pub taken_at_s: f64,
    /// Service, version and process; empty and 0 for a profile.
    pub service: String,
    /// As in the report.
    pub version: String,
    /// As in the report.
    pub pid: u32,
    /// Live bytes of all sites, listed or not.
    pub live_bytes: f64,
}

/// What growth is divided by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// `request`, or `allocated_gigabyte` where no endpoint is known.
    pub unit: &'static str,
    /// Load of the older side since its start; 0 within one run, where only what came after counts.
    pub before: f64,
    /// Load of the newer side: within one run since the older report, else since its start.
    pub after: f64,
}

/// A call site that changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SiteDiff {
    /// 1 is the largest growth.
    pub rank: usize,
    /// As in the report; `None` for a profile.
    pub site_id: Option<String>,
    /// Live bytes after less before.
    pub growth_bytes: f64,
    /// Half the width of the 95 % interval of its sampling error; `None` for a profile.
    pub growth_bytes_error: Option<f64>,
    /// The growth over the time between; `None` across runs or without time between.
    pub growth_bytes_per_hour: Option<f64>,
    /// The growth by [`Load`].
    pub growth_bytes_per_load: Option<f64>,
    /// Live bytes in the older.
    pub before_bytes: f64,
    /// Live bytes in the newer.
    pub after_bytes: f64,
    /// The older lists it; if not, `before_bytes` is 0 for want of better.
    pub listed_before: bool,
    /// The newer lists it.
    pub listed_after: bool,
    /// Element type.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// The code that is responsible.
    pub responsible_frame: Option<FrameLine>,
    /// Leaf first.
    pub stack: Vec<FrameLine>,
}

/// Compares two reports; `names` is what they were read from.
pub fn of_reports(before: &Report, after: &Report, names: [&str; 2]) -> Diff {
    let same_run = !before.process.session_id.is_empty() && before.process.session_id == after.process.session_id;
    let [older, newer] = [by_id(before), by_id(after)];
    let ids: BTreeSet<&str> = older.keys().chain(newer.keys()).copied().collect();
    let sites = ids.into_iter().map(|id| site(older.get(id).copied(), newer.get(id).copied()));
    let mut diff = Diff {
        schema: SCHEMA,
        before: Side::of(before, names[0]),
        after: Side::of(after, names[1]),
        elapsed_s: after.taken_at_s - before.taken_at_s,
        same_run,
        load: load(before, after, same_run),
        sites: sites.filter(|s| s.growth_bytes != 0.0).collect(),
        notes: notes(before, after, same_run),
        ..Diff::default()
    };
    diff.finish();
    diff
}

/// Compares the live bytes of two profiles. Errors: one has no column `inuse_space`.
pub fn of_profiles(before: &Profile, after: &Profile, names: [&str; 2]) -> Result<Diff> {
    let sites = pprof::difference(before, after, COLUMN)?;
    let side = |profile: &Profile, name: &str| Side {
        name: name.to_owned(),
        taken_at_s: profile.taken_at_s,
        live_bytes: live(profile),
        ..Side::default()
    };
    let elapsed_s = if before.taken_at_s > 0.0 { after.taken_at_s - before.taken_at_s } else { 0.0 };
    let mut diff = Diff {
        schema: SCHEMA,
        before: side(before, names[0]),
        after: side(after, names[1]),
        elapsed_s,
        sites: sites.into_iter().map(stack).collect(),
        notes: vec!["profiles do not say their load, nor whether they are of one run".to_owned()],
        ..Diff::default()
    };
    diff.finish();
    Ok(diff)
}

fn live(profile: &Profile) -> f64 {
    let column = profile.sample_types.iter().position(|(name, _)| name == COLUMN);
    let value = |s: &pprof::Stack| column.and_then(|c| s.values.get(c)).map_or(0.0, |v| *v as f64);
    profile.stacks.iter().map(value).sum()
}

impl Side {
    fn of(report: &Report, name: &str) -> Side {
        Side {
            name: name.to_owned(),
            taken_at_s: report.taken_at_s,
            service: report.process.service.clone(),
            version: report.process.version.clone(),
            pid: report.process.pid,
            live_bytes: report.process.heap_live_bytes as f64,
        }
    }
}

/// Sites of both lists: leaks may be below the largest sites.
fn by_id(report: &Report) -> BTreeMap<&str, &SiteLine> {
    let leaks = report.leaks.iter().map(|l| &l.site);
    report.sites.iter().chain(leaks).map(|s| (s.site_id.as_str(), s)).collect()
}

fn site(before: Option<&SiteLine>, after: Option<&SiteLine>) -> SiteDiff {
    let bytes = |s: Option<&SiteLine>| s.map_or(0.0, |s| s.live_bytes);
    let variance = |s: Option<&SiteLine>| s.map_or(0.0, |s| s.live_bytes_error * s.live_bytes_error);
    let known = after.or(before);
    SiteDiff {
        site_id: known.map(|s| s.site_id.clone()),
        growth_bytes: bytes(after) - bytes(before),
        growth_bytes_error: Some((variance(before) + variance(after)).sqrt()),
        before_bytes: bytes(before),
        after_bytes: bytes(after),
        listed_before: before.is_some(),
        listed_after: after.is_some(),
        type_name: known.and_then(|s| s.type_name.clone()),
        responsible_frame: known.and_then(|s| s.responsible_frame.clone().or_else(|| s.allocating_frame.clone())),
        stack: known.map_or_else(Vec::new, |s| s.stack.clone()),
        ..SiteDiff::default()
    }
}

fn stack(delta: Delta) -> SiteDiff {
    let frame = |function| FrameLine { function, ..FrameLine::default() };
    let (before, after) = (delta.before as f64, delta.after as f64);
    let stack: Vec<FrameLine> = delta.functions.into_iter().map(frame).collect();
    SiteDiff {
        growth_bytes: after - before,
        before_bytes: before,
        after_bytes: after,
        listed_before: delta.before != 0,
        listed_after: delta.after != 0,
        responsible_frame: stack.first().cloned(),
        stack,
        ..SiteDiff::default()
    }
}

fn load(before: &Report, after: &Report, same_run: bool) -> Option<Load> {
    let requests = before.process.requests.zip(after.process.requests);
    let (unit, older, newer) = match requests.filter(|(_, after)| *after > 0) {
        Some((older, newer)) => ("request", older as f64, newer as f64),
        None => {
            let gigabytes = |r: &Report| r.process.allocated_bytes as f64 / GIGABYTE;
            ("allocated_gigabyte", gigabytes(before), gigabytes(after))
        }
    };
    let load = match same_run {
        true => Load { unit, before: 0.0, after: newer - older },
        false => Load { unit, before: older, after: newer },
    };
    (load.after > 0.0 && (same_run || load.before > 0.0)).then_some(load)
}

fn notes(before: &Report, after: &Report, same_run: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !same_run {
        notes.push("the two are of different runs: growth is the difference of two states, not a trend".to_owned());
    }
    if same_run && after.taken_at_s < before.taken_at_s {
        notes.push("the first was taken after the second; give the older one first".to_owned());
    }
    if before.process.service != after.process.service {
        notes.push("the two are of different services".to_owned());
    }
    let smallest = |r: &Report| r.sites.last().map_or(0.0, |s| s.live_bytes);
    let (older, newer) = (smallest(before), smallest(after));
    notes.push(format!(
        "a site that is not listed counts as 0; it may have held up to {older:.0} bytes before, {newer:.0} after"
    ));
    notes
}

impl Diff {
    /// Rates, order and ranks, once the sites are there.
    fn finish(&mut self) {
        let hours = Some(self.elapsed_s / 3600.0).filter(|h| self.same_run && *h > 0.0);
        let load = self.load.clone();
        for site in &mut self.sites {
            site.growth_bytes_per_hour = hours.map(|h| site.growth_bytes / h);
            site.growth_bytes_per_load = load.as_ref().map(|l| l.share(site));
        }
        self.growth_bytes = self.sites.iter().map(|s| s.growth_bytes).sum();
        self.rank(|s| s.growth_bytes);
    }

    /// Ranks by growth per load instead of growth: across runs that served differently, the order is another.
    /// Errors: no load is known.
    pub fn rank_by_load(&mut self) -> Result<()> {
        if self.load.is_none() {
            let what = format!(
                "{} and {} do not say their load; compare without --per-request",
                self.before.name, self.after.name
            );
            return Err(crate::error::Error::input(what));
        }
        self.rank(|s| s.growth_bytes_per_load.unwrap_or(f64::NEG_INFINITY));
        Ok(())
    }

    /// Keeps the first `top` sites.
    pub fn keep(&mut self, top: usize) {
        self.sites.truncate(top);
    }

    fn rank(&mut self, key: impl Fn(&SiteDiff) -> f64) {
        self.sites.sort_by(|a, b| key(b).total_cmp(&key(a)));
        self.sites.iter_mut().zip(1..).for_each(|(s, rank)| s.rank = rank);
    }
}

impl Load {
    fn share(&self, site: &SiteDiff) -> f64 {
        match self.before > 0.0 {
            true => site.after_bytes / self.after - site.before_bytes / self.before,
            false => site.growth_bytes / self.after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(session: &str, at_s: f64, requests: u64, sites: &[(&str, f64)]) -> Report {
        let line = |(id, live): &(&str, f64)| SiteLine {
            site_id: (*id).to_owned(),
            live_bytes: *live,
            live_bytes_error: 3.0,
            ..SiteLine::default()
        };
        let mut report = Report { taken_at_s: at_s, sites: sites.iter().map(line).collect(), ..Report::default() };
        report.process.session_id = session.to_owned();
        report.process.requests = Some(requests);
        report
    }

    #[test]
    fn within_a_run_growth_is_by_the_time_and_requests_between() {
        let before = report("s", 0.0, 100, &[("a", 1000.0), ("gone", 50.0)]);
        let after = report("s", 1800.0, 300, &[("a", 5000.0), ("new", 70.0)]);
        let diff = of_reports(&before, &after, ["x", "y"]);
        let ids: Vec<_> = diff.sites.iter().map(|s| (s.site_id.as_deref().unwrap(), s.growth_bytes)).collect();
        assert_eq!(ids, [("a", 4000.0), ("new", 70.0), ("gone", -50.0)]);
        let first = &diff.sites[0];
        assert_eq!((first.growth_bytes_per_hour, first.growth_bytes_per_load), (Some(8000.0), Some(20.0)));
        assert_eq!(first.growth_bytes_error, Some(18.0_f64.sqrt()));
        assert!(!diff.sites[1].listed_before && !diff.sites[2].listed_after);
        assert_eq!(diff.growth_bytes, 4020.0);
    }

    #[test]
    fn across_runs_each_is_by_its_own_load_and_there_is_no_rate() {
        let before = report("s", 0.0, 100, &[("a", 1000.0), ("b", 10.0)]);
        let after = report("t", 9.0, 1000, &[("a", 5000.0), ("b", 900.0)]);
        let mut diff = of_reports(&before, &after, ["x", "y"]);
        assert_eq!(diff.sites[0].growth_bytes_per_load, Some(-5.0));
        assert_eq!(diff.sites[0].growth_bytes_per_hour, None);
        diff.rank_by_load().unwrap();
        assert_eq!((diff.sites[0].site_id.as_deref(), diff.sites[0].rank), (Some("b"), 1));
        assert_eq!(diff.sites[0].growth_bytes_per_load, Some(0.9 - 0.1));
    }

    #[test]
    fn without_any_load_ranking_by_it_is_an_error() {
        let (mut before, mut after) = (report("s", 0.0, 1, &[]), report("s", 1.0, 1, &[]));
        (before.process.requests, after.process.requests) = (None, None);
        assert!(of_reports(&before, &after, ["x", "y"]).rank_by_load().is_err());
    }
}
