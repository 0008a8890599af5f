//! Usage of a made cluster, as CSV and as OpenMetrics.

use std::fmt::Write;

pub const MIB: f64 = 1024.0 * 1024.0;
pub const STEP_S: u64 = 300;

pub struct Container {
    pub namespace: &'static str,
    pub workload: &'static str,
    pub pod: &'static str,
    pub container: &'static str,
    /// MiB at an hour.
    pub value: fn(f64) -> f64,
}

fn day(hour: f64) -> f64 {
    (hour * std::f64::consts::TAU / 24.0).sin()
}

pub static CLUSTER: [Container; 5] = [
    Container {
        namespace: "shop",
        workload: "web",
        pod: "web-7d4b9c6f5d-x2k9q",
        container: "app",
        value: |h| 1000.0 + 500.0 * day(h),
    },
    Container {
        namespace: "shop",
        workload: "web",
        pod: "web-7d4b9c6f5d-bbbbb",
        container: "app",
        value: |h| 990.0 + 495.0 * day(h),
    },
    Container {
        namespace: "shop",
        workload: "web",
        pod: "web-7d4b9c6f5d-x2k9q",
        container: "proxy",
        value: |h| 50.0 + day(h),
    },
    Container {
        namespace: "shop",
        workload: "cache",
        pod: "cache-0",
        container: "redis",
        value: |h| 3000.0 + 20.0 * day(h),
    },
    Container {
        namespace: "back",
        workload: "queue",
        pod: "queue-5f6d7c8b9-zzzzz",
        container: "app",
        value: |h| 500.0 + 10.0 * day(h) + 2.0 * h,
    },
];

pub const REQUEST_MIB: f64 = 4096.0;

/// Rows from `start_s` on, for `days`.
pub fn rows(start_s: u64, days: u64) -> impl Iterator<Item = (u64, &'static Container, f64)> {
    let times = (0..days * 86_400 / STEP_S).map(move |i| start_s + i * STEP_S);
    times.flat_map(move |t| CLUSTER.iter().map(move |c| (t, c, (c.value)((t - start_s) as f64 / 3600.0) * MIB)))
}

pub fn csv(start_s: u64, days: u64) -> String {
    let mut out = String::from("timestamp,namespace,workload,pod,container,usage_bytes,request_bytes,limit_bytes\n");
    for (t, c, value) in rows(start_s, days) {
        let bytes = (REQUEST_MIB * MIB) as u64;
        let _ =
            writeln!(out, "{t},{},{},{},{},{value:.0},{bytes},{bytes}", c.namespace, c.workload, c.pod, c.container);
    }
    out
}

pub fn openmetrics(start_s: u64, days: u64) -> String {
    let mut out = String::from("# TYPE container_memory_working_set_bytes gauge\n");
    let labels =
        |c: &Container| format!("namespace=\"{}\",pod=\"{}\",container=\"{}\"", c.namespace, c.pod, c.container);
    for c in &CLUSTER {
        for (t, _, value) in rows(start_s, days).filter(|(_, other, _)| std::ptr::eq(*other, c)) {
            let _ = writeln!(out, "container_memory_working_set_bytes{{{}}} {value:.0} {t}", labels(c));
        }
    }
    for kind in ["requests", "limits"] {
        let _ = writeln!(out, "# TYPE kube_pod_container_resource_{kind} gauge");
        for c in &CLUSTER {
            for t in (start_s..start_s + days * 86_400).step_by(3600) {
                let bytes = (REQUEST_MIB * MIB) as u64;
                let _ = writeln!(
                    out,
                    "kube_pod_container_resource_{kind}{{{},resource=\"memory\"}} {bytes} {t}",
                    labels(c)
                );
            }
        }
    }
    out.push_str("# TYPE container_oom_events counter\n");
    for t in (start_s..start_s + days * 86_400).step_by(STEP_S as usize) {
        let kills = if t < start_s + 30 * 3600 { 1 } else { 3 };
        let _ = writeln!(out, "container_oom_events_total{{{}}} {kills} {t}", labels(&CLUSTER[3]));
    }
    out.push_str("# TYPE kube_pod_owner gauge\n");
    let t = start_s + days * 86_400 - STEP_S;
    for c in &CLUSTER {
        let (kind, name) = match c.pod.rsplit_once('-') {
            Some((name, "0")) => ("StatefulSet", name),
            Some((set, _)) => ("ReplicaSet", set),
            None => ("Pod", c.pod),
        };
        if c.container != "proxy" {
            let _ = writeln!(
                out,
                "kube_pod_owner{{namespace=\"{}\",pod=\"{}\",owner_kind=\"{kind}\",owner_name=\"{name}\"}} 1 {t}",
                c.namespace, c.pod
            );
        }
    }
    out.push_str("# TYPE kube_replicaset_owner gauge\n");
    for (namespace, set, name) in [("shop", "web-7d4b9c6f5d", "web"), ("back", "queue-5f6d7c8b9", "queue")] {
        let _ = writeln!(
            out,
            "kube_replicaset_owner{{namespace=\"{namespace}\",replicaset=\"{set}\",owner_kind=\"Deployment\",owner_name=\"{name}\"}} 1 {t}"
        );
    }
    out + "# EOF\n"
}
