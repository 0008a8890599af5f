//! What is sized: one container of one workload, with the use of every pod of it that was seen.

use super::usage::{Oom, Rejected, Usage};

/// A container of a workload. All pods of it get one recommendation.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Deployment, StatefulSet, … that owns the pods.
    pub workload: String,
    /// Kind of the owner, when known (`Deployment`, …).
    pub kind: Option<String>,
    /// Container in the pod.
    pub container: String,
    /// Pods seen, gone ones too.
    pub pods: Vec<Pod>,
    /// Memory request in force, bytes.
    pub request_bytes: Option<f64>,
    /// Memory limit in force, bytes.
    pub limit_bytes: Option<f64>,
    /// Containers in a pod of this workload; 0 counts as 1.
    pub containers_per_pod: usize,
    /// Most page cache that the working set held at its peak, bytes. The kernel takes it back before it kills.
    pub reclaimable_bytes: Option<f64>,
    /// Share of the resident memory that the allocator holds without a live block in it, 0–1.
    pub allocator_overhead_ratio: Option<f64>,
    /// A leak that was found, with the code that leaks when that is known.
    pub leak: Option<Leak>,
}

/// One pod's use.
#[derive(Debug, Clone, Default)]
pub struct Pod {
    /// Name of the pod.
    pub name: String,
    /// What it used.
    pub usage: Usage,
}

/// A leak in a workload: growth that no load explains.
#[derive(Debug, Clone, PartialEq)]
pub struct Leak {
    /// Growth of one pod.
    pub rate_bytes_per_hour: f64,
    /// When it began; `None`: with each start of the process.
    pub onset_s: Option<f64>,
    /// How sure, 0–1.
    pub confidence: f64,
    /// The responsible code, when the process names it.
    pub site: Option<String>,
}

impl Workload {
    /// Time of the latest sample of any pod.
    pub fn last_s(&self) -> Option<f64> {
        self.pods.iter().filter_map(|p| p.usage.last_s()).reduce(f64::max)
    }

    /// Time of the earliest sample of any pod.
    pub fn first_s(&self) -> Option<f64> {
        self.pods.iter().filter_map(|p| p.usage.first_s()).reduce(f64::min)
    }

    /// Samples of all pods.
    pub fn samples(&self) -> u64 {
        self.pods.iter().map(|p| p.usage.samples()).sum()
    }

    /// Highest use of any pod, bytes.
    pub fn peak(&self) -> f64 {
        self.pods.iter().map(|p| p.usage.peak()).fold(0.0, f64::max)
    }

    /// Pods that still report: a sample within two buckets of `now_s`.
    pub fn replicas(&self, now_s: f64) -> usize {
        let alive = |u: &Usage| u.last_s().is_some_and(|t| t >= now_s - 2.0 * u.width_s());
        self.pods.iter().filter(|p| alive(&p.usage)).count()
    }

    /// OOM kills of all pods, in order of time.
    pub fn ooms(&self) -> Vec<Oom> {
        let mut all: Vec<Oom> = self.pods.iter().flat_map(|p| p.usage.ooms()).copied().collect();
        all.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        all
    }

    /// Number of OOM kills, also those no longer kept one by one.
    pub fn oom_kills(&self) -> u64 {
        self.pods.iter().map(|p| p.usage.oom_kills()).sum()
    }

    /// Samples refused, by cause.
    pub fn rejected(&self) -> Rejected {
        let mut sum = Rejected::default();
        self.pods.iter().for_each(|p| sum.add(p.usage.rejected()));
        sum
    }

    /// Looks for a leak in the use of the pods, unless one is set already.
    pub fn find_leak(&mut self) {
        self.leak = self.leak.take().or_else(|| super::leaks::find(self));
    }

    /// Mean use of a pod over all samples, bytes; `None` without samples.
    pub fn mean(&self) -> Option<f64> {
        let buckets = || self.pods.iter().flat_map(|p| p.usage.buckets()).map(|(_, b)| b);
        let count: u64 = buckets().map(|b| u64::from(b.count)).sum();
        (count > 0).then(|| buckets().map(|b| b.sum).sum::<f64>() / count as f64)
    }
}
