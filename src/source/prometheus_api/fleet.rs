//! The memory of every container of a cluster, from cAdvisor, kube-state-metrics and, where there is one, heapwatch itself.
//!
//! Only the working set is needed; each other answer adds what it can, and a note says when it is missing.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::answer::{Answer, OneSeries};
use super::client::Client;
use super::range::{Range, read_range};
use crate::analyze::sizing::fleet::{Fleet, FleetBuilder};
use crate::error::{Error, Result};

const BY: &str = "max by (namespace,pod,container)";
const OWNER_BY: &str = "max by (namespace,pod,owner_kind,owner_name)";
/// Slow facts are asked at this distance.
const COARSE_S: f64 = 3600.0;

/// What to read.
#[derive(Debug, Clone)]
pub struct FleetQuery {
    /// Further label matchers, such as `namespace="shop",cluster=~"eu-.*"`; empty for all.
    pub matchers: String,
    /// From when to when, and how fine.
    pub range: Range,
    /// Take the sample at each step as KRR does, not the highest since the last: misses peaks between.
    pub instants: bool,
}

/// Reads all containers. `progress` hears chunks done and in all. Errors: a server that cannot be reached or refuses, a range
/// without any working set.
pub fn read_fleet(client: &Client, query: &FleetQuery, progress: &mut dyn FnMut(usize, usize)) -> Result<Fleet> {
    let mut reader = Reader { client, query, fleet: FleetBuilder::default() };
    reader.working_sets(progress)?;
    if reader.fleet.containers().is_empty() {
        let hint = "is cAdvisor scraped, and do the matchers fit?";
        return Err(Error::input(format!(
            "no container_memory_working_set_bytes{} in the range: {hint}",
            reader.selector()
        )));
    }
    reader.resources()?;
    reader.owners()?;
    reader.oom_kills()?;
    reader.page_cache()?;
    reader.own_metrics()?;
    Ok(reader.fleet.finish())
}

struct Reader<'a> {
    client: &'a Client,
    query: &'a FleetQuery,
    fleet: FleetBuilder,
}

impl Reader<'_> {
    fn matchers(&self, more: &str) -> String {
        let parts = [self.query.matchers.as_str(), more];
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(",")
    }

    fn selector(&self) -> String {
        // The empty container is the pod's own cgroup, `POD` its sandbox: both are counted in no container's limit.
        format!("{{{}}}", self.matchers(r#"container!="",container!="POD""#))
    }

    fn working_sets(&mut self, progress: &mut dyn FnMut(usize, usize)) -> Result<()> {
        let name = format!("container_memory_working_set_bytes{}", self.selector());
        let Range { start_s, end_s, step_s } = self.query.range;
        let series = self.count(&format!("count({name})"), end_s)?;
        // Not aggregated by the server: that costs it three times the query itself, and few containers have two series.
        let peak =
            if self.query.instants { name } else { format!("max_over_time({name}[{}ms])", (step_s * 1000.0).round()) };
        let fleet = &mut self.fleet;
        let mut several = HashSet::new();
        // The first window would reach back before the range.
        let range = Range { start_s: start_s + if self.query.instants { 0.0 } else { step_s }, end_s, step_s };
        read_range(self.client, &peak, range, series, progress, |answer| {
            answer.warnings.iter().for_each(|w| fleet.note(format!("the server warns: {w}")));
            let mut by_container: HashMap<usize, Vec<&OneSeries>> = HashMap::new();
            for s in &answer.series {
                let [namespace, pod, container] = ["namespace", "pod", "container"].map(|l| s.labels.get(l));
                by_container.entry(fleet.position(namespace, pod, container)).or_default().push(s);
            }
            for (position, series) in by_container {
                let Some(c) = fleet.at(position) else { continue };
                if series.len() > 1 {
                    several.insert(position);
                }
                highest_at_each_time(&series).iter().for_each(|(t, v)| c.usage.add(*t, *v));
            }
            Ok(())
        })?;
        if !several.is_empty() {
            let count = several.len();
            self.fleet
                .note(format!("{count} containers have several series (restarts, or two scrapers): the highest holds"));
        }
        Ok(())
    }

    fn count(&self, promql: &str, at_s: f64) -> Result<usize> {
        let answer = self.client.instant(promql, at_s)?;
        let count = answer.series.first().and_then(|s| s.points.first()).map_or(1.0, |p| p.1);
        Ok(count.max(1.0) as usize)
    }

    /// An answer that may be missing: none, and a note, when the server has no such series.
    fn instant(&mut self, promql: &str, missing: &str) -> Result<Answer> {
        let answer = self.client.instant(promql, self.query.range.end_s)?;
        if answer.series.is_empty() && !missing.is_empty() {
            self.fleet.note(missing);
        }
        Ok(answer)
    }

    fn resources(&mut self) -> Result<()> {
        for (name, of) in [("requests", "requests"), ("limits", "limits")] {
            let matchers = self.matchers(r#"resource="memory",container!="""#);
            let promql = format!("{BY} (last_over_time(kube_pod_container_resource_{name}{{{matchers}}}[1d]))");
            let missing = format!("no kube_pod_container_resource_{name}: current {of} are unknown or not set");
            for s in self.instant(&promql, &missing)?.series {
                let value = s.points.first().map(|p| p.1).filter(|v| v.is_finite() && *v > 0.0);
                let Some(c) = known(&mut self.fleet, &s) else { continue };
                *(if name == "requests" { &mut c.request_bytes } else { &mut c.limit_bytes }) = value;
            }
        }
        Ok(())
    }

    fn owners(&mut self) -> Result<()> {
        let range = self.query.range;
        let window = format!("{}s", (range.end_s - range.start_s).max(COARSE_S).round());
        let matchers = self.matchers("");
        let promql = format!("{OWNER_BY} (last_over_time(kube_pod_owner{{{matchers}}}[{window}]))");
        let pods = self.instant(&promql, "no kube_pod_owner: workloads are read off the names of pods")?;
        if pods.series.is_empty() {
            return Ok(());
        }
        let by = "max by (namespace,replicaset,owner_kind,owner_name)";
        let promql = format!("{by} (last_over_time(kube_replicaset_owner{{{matchers}}}[{window}]))");
        let sets = self.instant(&promql, "")?;
        let deployments: HashMap<_, _> = sets
            .series
            .iter()
            .map(|s| (label2(s, "namespace", "replicaset"), label2(s, "owner_kind", "owner_name")))
            .collect();
        let mut owners = HashMap::new();
        for s in &pods.series {
            let owner = label2(s, "owner_kind", "owner_name");
            let set = (s.labels.get("namespace"), owner.1);
            let top = if owner.0 == "ReplicaSet" { deployments.get(&set).copied().unwrap_or(owner) } else { owner };
            owners.insert(label2(s, "namespace", "pod"), top);
        }
        for c in self.fleet.containers() {
            let owner =
                owners.get(&(c.namespace.as_str(), c.pod.as_str())).filter(|o| !o.1.is_empty() && o.1 != "<none>");
            if let Some((kind, name)) = owner {
                (c.kind, c.workload) = (Some((*kind).to_owned()), Some((*name).to_owned()));
            }
        }
        Ok(())
    }

    /// OOM kills from cAdvisor's counter; from kube-state-metrics' last reason where there is none.
    fn oom_kills(&mut self) -> Result<()> {
        let counter = format!("{BY} (container_oom_events_total{} > 0)", self.selector());
        if self.rises(&counter)? == 0 {
            let matchers = self.matchers(r#"reason="OOMKilled""#);
            self.rises(&format!("{BY} (kube_pod_container_status_last_terminated_reason{{{matchers}}} == 1)"))?;
        }
        Ok(())
    }

    /// Counts each rise of a counter as kills at that time; a fall is a restart of the counter. Returns series seen.
    fn rises(&mut self, promql: &str) -> Result<usize> {
        let range = Range { step_s: COARSE_S.max(self.query.range.step_s), ..self.query.range };
        let fleet = &mut self.fleet;
        let mut last = HashMap::new();
        read_range(self.client, promql, range, 100, &mut |_, _| {}, |answer| {
            for s in &answer.series {
                let Some(c) = known(fleet, s) else { continue };
                let limit = c.limit_bytes;
                for (at_s, value) in &s.points {
                    // What was counted before the range began is not of the range.
                    let first = if *at_s <= range.start_s { *value } else { 0.0 };
                    let before = last.insert(s.labels.clone(), *value).unwrap_or(first);
                    let rise = if *value < before { *value } else { value - before };
                    (0..rise.clamp(0.0, 1000.0) as usize).for_each(|_| c.usage.add_oom(*at_s, limit));
                }
            }
            Ok(())
        })?;
        Ok(last.len())
    }

    fn page_cache(&mut self) -> Result<()> {
        let s = self.selector();
        let promql = format!("{BY} (container_memory_working_set_bytes{s}) - {BY} (container_memory_rss{s})");
        for series in self.instant(&promql, "")?.series {
            let value = series.points.first().map(|p| p.1).filter(|v| v.is_finite() && *v > 0.0);
            if let Some(c) = known(&mut self.fleet, &series) {
                c.reclaimable_bytes = value;
            }
        }
        Ok(())
    }

    /// What processes with heapwatch inside say of themselves: peaks that no scrape saw, and the allocator's overhead.
    fn own_metrics(&mut self) -> Result<()> {
        let matchers = self.matchers(r#"container!="""#);
        let range = Range { step_s: COARSE_S.max(self.query.range.step_s), ..self.query.range };
        let promql = format!("{BY} (memory_peak_bytes{{{matchers}}})");
        let fleet = &mut self.fleet;
        let mut highest = HashMap::new();
        read_range(self.client, &promql, range, 1000, &mut |_, _| {}, |answer| {
            for s in &answer.series {
                let Some(c) = known(fleet, s) else { continue };
                for (at_s, value) in &s.points {
                    // A high-water mark says when it was reached only while it rises; a fall is a new process.
                    if highest.insert(s.labels.clone(), *value).is_none_or(|before| *value != before) {
                        c.usage.raise_peak(*at_s, *value);
                    }
                }
            }
            Ok(())
        })?;
        let promql = format!("1 - {BY} (memory_heap_bytes{{{matchers}}}) / {BY} (memory_rss_bytes{{{matchers}}})");
        for s in self.instant(&promql, "")?.series {
            let ratio = s.points.first().map(|p| p.1).filter(|v| (0.0..=1.0).contains(v));
            if let Some(c) = known(&mut self.fleet, &s) {
                c.allocator_overhead_ratio = ratio;
            }
        }
        Ok(())
    }
}

fn label2<'a>(s: &'a OneSeries, first: &str, second: &str) -> (&'a str, &'a str) {
    (s.labels.get(first), s.labels.get(second))
}

/// The points of all series of one container; where several have one time, the highest.
fn highest_at_each_time<'a>(series: &[&'a OneSeries]) -> Cow<'a, [(f64, f64)]> {
    if let [only] = series {
        return Cow::Borrowed(&only.points);
    }
    let mut all: Vec<(f64, f64)> = series.iter().flat_map(|s| &s.points).copied().collect();
    // By time, then the highest first and NaN last: of one time the first stays.
    let rank = |v: f64| v.max(f64::NEG_INFINITY);
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(rank(b.1).total_cmp(&rank(a.1))));
    all.dedup_by(|later, first| later.0 == first.0);
    Cow::Owned(all)
}

fn known<'a>(fleet: &'a mut FleetBuilder, s: &OneSeries) -> Option<&'a mut crate::analyze::sizing::fleet::Container> {
    fleet.known(s.labels.get("namespace"), s.labels.get("pod"), s.labels.get("container"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_series_the_highest_holds() {
        let series = |points: &[(f64, f64)]| OneSeries { labels: Default::default(), points: points.to_vec() };
        let (old, new) = (series(&[(1.0, 5.0), (2.0, 6.0)]), series(&[(2.0, f64::NAN), (3.0, 1.0)]));
        assert_eq!(*highest_at_each_time(&[&old, &new]), [(1.0, 5.0), (2.0, 6.0), (3.0, 1.0)]);
        assert_eq!(*highest_at_each_time(&[&old]), *old.points);
    }
}
