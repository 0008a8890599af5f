//! Containers as a source delivers them, one sample at a time, gathered into workloads.
//!
//! Memory is bounded by containers seen, not by samples ([`super::usage`]).

use std::collections::{BTreeMap, HashMap};

use super::usage::Usage;
use super::workload::{Pod, Workload};

/// Everything that was read, ready to be sized.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// The workloads by namespace, name and container.
    pub workloads: Vec<Workload>,
    /// Time of the latest sample of any, epoch seconds; 0 without samples.
    pub now_s: f64,
    /// What the source had to leave out or could not find.
    pub notes: Vec<String>,
}

impl Fleet {
    /// Looks for leaks in all workloads that have none set.
    pub fn find_leaks(&mut self) {
        self.workloads.iter_mut().for_each(Workload::find_leak);
    }
}

/// One container of one pod.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// Namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
    /// Owner's name, when known; else it is read off the pod's name.
    pub workload: Option<String>,
    /// Owner's kind, when known.
    pub kind: Option<String>,
    /// Its use.
    pub usage: Usage,
    /// Request in force, bytes.
    pub request_bytes: Option<f64>,
    /// Limit in force, bytes.
    pub limit_bytes: Option<f64>,
    /// Page cache in its working set, bytes.
    pub reclaimable_bytes: Option<f64>,
    /// Share of resident memory without live blocks, 0–1.
    pub allocator_overhead_ratio: Option<f64>,
}

/// Gathers containers.
#[derive(Debug, Default)]
pub struct FleetBuilder {
    index: HashMap<String, usize>,
    containers: Vec<Container>,
    notes: Vec<String>,
}

impl FleetBuilder {
    /// The container of that name, made if it is not there.
    pub fn container(&mut self, namespace: &str, pod: &str, container: &str) -> &mut Container {
        let at = self.position(namespace, pod, container);
        &mut self.containers[at]
    }

    /// The same as a number that stays valid, for a source that comes back to it.
    pub fn position(&mut self, namespace: &str, pod: &str, container: &str) -> usize {
        // A slash is in no Kubernetes name.
        let key = format!("{namespace}/{pod}/{container}");
        let next = self.containers.len();
        let at = *self.index.entry(key).or_insert(next);
        if at == next {
            self.containers.push(Container {
                namespace: namespace.to_owned(),
                pod: pod.to_owned(),
                container: container.to_owned(),
                ..Container::default()
            });
        }
        at
    }

    /// The container at a [`FleetBuilder::position`].
    pub fn at(&mut self, position: usize) -> Option<&mut Container> {
        self.containers.get_mut(position)
    }

    /// The container, only if it was seen.
    pub fn known(&mut self, namespace: &str, pod: &str, container: &str) -> Option<&mut Container> {
        let at = *self.index.get(&format!("{namespace}/{pod}/{container}"))?;
        self.containers.get_mut(at)
    }

    /// The containers of all pods seen.
    pub fn containers(&mut self) -> &mut [Container] {
        &mut self.containers
    }

    /// Adds a note, once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Groups containers by their owner.
    pub fn finish(self) -> Fleet {
        let per_pod = containers_per_pod(&self.containers);
        let mut workloads: BTreeMap<(String, String, String), Workload> = BTreeMap::new();
        let mut now_s: f64 = 0.0;
        for c in self.containers {
            now_s = now_s.max(c.usage.last_s().unwrap_or(0.0));
            let name = c.workload.clone().unwrap_or_else(|| owner_of(&c.pod).to_owned());
            let count = per_pod.get(&(c.namespace.clone(), c.pod.clone())).copied().unwrap_or(1);
            let entry = workloads.entry((c.namespace.clone(), name.clone(), c.container.clone())).or_default();
            merge(entry, c, name, count);
        }
        Fleet { workloads: workloads.into_values().collect(), now_s, notes: self.notes }
    }
}

fn containers_per_pod(containers: &[Container]) -> HashMap<(String, String), usize> {
    let mut out = HashMap::new();
    for c in containers {
        *out.entry((c.namespace.clone(), c.pod.clone())).or_insert(0) += 1;
    }
    out
}

/// Of settings that differ between pods, the one of the pod seen last holds.
fn merge(into: &mut Workload, from: Container, name: String, containers_per_pod: usize) {
    let newer = from.usage.last_s() >= into.last_s();
    let pick = |old: Option<f64>, new: Option<f64>| if newer { new.or(old) } else { old.or(new) };
    into.request_bytes = pick(into.request_bytes, from.request_bytes);
    into.limit_bytes = pick(into.limit_bytes, from.limit_bytes);
    let most = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
    into.reclaimable_bytes = most(into.reclaimable_bytes, from.reclaimable_bytes);
    into.allocator_overhead_ratio = most(into.allocator_overhead_ratio, from.allocator_overhead_ratio);
    into.containers_per_pod = into.containers_per_pod.max(containers_per_pod);
    into.kind = from.kind.or(into.kind.take());
    into.namespace = from.namespace;
    into.workload = name;
    into.container = from.container;
    into.pods.push(Pod { name: from.pod, usage: from.usage });
}

/// The owner's name as far as a pod's name tells: without a StatefulSet's number, or without the five letters of a pod and the
/// hash of its ReplicaSet before them. Kubernetes takes both from letters and digits that form no words.
pub fn owner_of(pod: &str) -> &str {
    let Some((rest, last)) = pod.rsplit_once('-') else { return pod };
    let generated = |s: &str| !s.is_empty() && s.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) && last.len() < 5 {
        return rest;
    }
    if last.len() != 5 || !generated(last) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((owner, hash)) if (6..=10).contains(&hash.len()) && generated(hash) => owner,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_off_pod_names() {
        for (pod, owner) in [
            ("checkout-7d4b9c6f5d-x2k9q", "checkout"),
            ("web-server-5f6d7c8b9-zzzzz", "web-server"),
            ("postgres-0", "postgres"),
            ("node-exporter-x7k2m", "node-exporter"),
            ("nightly-report", "nightly-report"),
            ("pod", "pod"),
        ] {
            assert_eq!(owner_of(pod), owner);
        }
    }

    #[test]
    fn pods_of_one_owner_are_one_workload_and_the_latest_setting_holds() {
        let mut b = FleetBuilder::default();
        for (pod, at_s, limit) in [("web-7d4b9c6f5d-x2k9q", 0.0, 1e9), ("web-5f6d7c8b9-zzzzz", 7200.0, 2e9)] {
            let c = b.container("shop", pod, "app");
            c.usage.add(at_s, 1e8);
            c.limit_bytes = Some(limit);
        }
        b.container("shop", "web-5f6d7c8b9-zzzzz", "proxy").usage.add(0.0, 1e7);
        let fleet = b.finish();
        assert_eq!((fleet.workloads.len(), fleet.now_s), (2, 7200.0));
        let app = &fleet.workloads[0];
        assert_eq!((app.workload.as_str(), app.pods.len(), app.limit_bytes), ("web", 2, Some(2e9)));
        assert_eq!((app.containers_per_pod, app.replicas(7200.0)), (2, 2));
    }
}
