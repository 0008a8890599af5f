//! Recommendations as Kubernetes files: a strategic-merge patch for each workload, and its autoscaler.
//!
//! Patches name the workload by kind and name, so `kubectl patch --patch-file` and kustomize take them as they are. The reason
//! stands on each as an annotation. A workload gets one autoscaler: never an HPA and a VPA on the same resource, which would
//! fight. A workload without a recommendation gets no file.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::analyze::sizing::Recommendation;
use crate::analyze::sizing::amount::quantity;
use crate::analyze::sizing::autoscaling::Kind;
use crate::error::{Error, Result};

const REASON: &str = "heapwatch.dev/reason";
const CONFIDENCE: &str = "heapwatch.dev/confidence";

/// One file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of the file, without a folder.
    pub file: String,
    /// What kustomize makes of it.
    pub role: Role,
    /// The object.
    pub object: Value,
}

/// How a file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Applied to an object of the user's.
    Patch,
    /// An object of its own.
    Resource,
}

/// The files for `recommendations`.
pub fn manifests(recommendations: &[Recommendation]) -> Vec<Manifest> {
    let mut workloads: BTreeMap<(&str, &str), Vec<&Recommendation>> = BTreeMap::new();
    for r in recommendations.iter().filter(|r| r.target.request_bytes.is_some()) {
        workloads.entry((&r.namespace, &r.workload)).or_default().push(r);
    }
    workloads.values().flat_map(|containers| of_workload(containers)).collect()
}

/// All files as one stream of documents.
pub fn to_yaml(manifests: &[Manifest]) -> Result<String> {
    let documents = manifests.iter().map(|m| document(&m.object)).collect::<Result<Vec<_>>>()?;
    Ok(documents.concat())
}

/// A kustomize component that applies all files, to be put beside them as `kustomization.yaml`.
pub fn component(manifests: &[Manifest]) -> Result<String> {
    let named = |role| manifests.iter().filter(move |m| m.role == role).map(|m| m.file.as_str());
    document(&json!({
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": named(Role::Resource).collect::<Vec<_>>(),
        "patches": named(Role::Patch).map(|file| json!({ "path": file })).collect::<Vec<_>>(),
    }))
}

/// One document, begun by `---`.
pub fn document(object: &Value) -> Result<String> {
    let text = serde_norway::to_string(object).map_err(|e| Error::io("cannot write YAML").because(e))?;
    Ok(format!("---\n{text}"))
}

fn of_workload(containers: &[&Recommendation]) -> Vec<Manifest> {
    let Some(first) = containers.first() else { return Vec::new() };
    let stem = format!("{}.{}", first.namespace, first.workload);
    let mut out =
        vec![Manifest { file: format!("{stem}.patch.yaml"), role: Role::Patch, object: patch(first, containers) }];
    let wanted =
        |kind| containers.iter().copied().filter(move |r| r.autoscaling.as_ref().is_some_and(|a| a.kind == kind));
    let (hpa, vpa): (Vec<_>, Vec<_>) = (wanted(Kind::Hpa).collect(), wanted(Kind::Vpa).collect());
    let resource = |file, object| Manifest { file, role: Role::Resource, object };
    if !hpa.is_empty() {
        out.push(resource(format!("{stem}.hpa.yaml"), hpa_object(first, &hpa, containers.len())));
    } else if !vpa.is_empty() {
        out.push(resource(format!("{stem}.vpa.yaml"), vpa_object(first, &vpa)));
    }
    out
}

/// `apiVersion` and kind of the workload; a Deployment where the source did not say.
fn target(r: &Recommendation) -> (&'static str, &str) {
    match r.kind.as_deref() {
        Some(kind @ ("Job" | "CronJob")) => ("batch/v1", kind),
        Some(kind @ "Rollout") => ("argoproj.io/v1alpha1", kind),
        Some(kind) => ("apps/v1", kind),
        None => ("apps/v1", "Deployment"),
    }
}

fn metadata(r: &Recommendation, reasons: String, confidence: f64) -> Value {
    let mut out = json!({
        "name": r.workload,
        "annotations": { REASON: reasons, CONFIDENCE: format!("{confidence:.2}") },
    });
    if !r.namespace.is_empty() {
        out["namespace"] = json!(r.namespace);
    }
    out
}

fn patch(first: &Recommendation, containers: &[&Recommendation]) -> Value {
    let (api_version, kind) = target(first);
    let sized: Vec<Value> =
        containers.iter().map(|r| json!({ "name": r.container, "resources": resources(r) })).collect();
    let reasons = containers.iter().map(|r| format!("{}: {}", r.container, r.reasons.join("; ")));
    let confidence = containers.iter().map(|r| r.confidence).fold(1.0, f64::min);
    let pod = json!({ "template": { "spec": { "containers": sized } } });
    let spec = if kind == "CronJob" { json!({ "jobTemplate": { "spec": pod } }) } else { pod };
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": metadata(first, reasons.collect::<Vec<_>>().join(" | "), confidence),
        "spec": spec,
    })
}

fn resources(r: &Recommendation) -> Value {
    let memory = |bytes: Option<u64>| json!({ "memory": quantity(bytes.unwrap_or(0)) });
    json!({ "requests": memory(r.target.request_bytes), "limits": memory(r.target.limit_bytes) })
}

fn why(containers: &[&Recommendation]) -> String {
    let one = |r: &&Recommendation| r.autoscaling.as_ref().map(|a| format!("{}: {}", r.container, a.why));
    containers.iter().filter_map(one).collect::<Vec<_>>().join(" | ")
}

fn reference(r: &Recommendation) -> Value {
    let (api_version, kind) = target(r);
    json!({ "apiVersion": api_version, "kind": kind, "name": r.workload })
}

fn vpa_object(first: &Recommendation, containers: &[&Recommendation]) -> Value {
    let plans: Vec<_> = containers.iter().filter_map(|r| Some((r, r.autoscaling.as_ref()?.vpa.as_ref()?))).collect();
    let policies: Vec<Value> = plans
        .iter()
        .map(|(r, plan)| {
            json!({
                "containerName": r.container,
                "controlledResources": ["memory"],
                "controlledValues": "RequestsOnly",
                "minAllowed": { "memory": quantity(plan.min_allowed_bytes) },
                "maxAllowed": { "memory": quantity(plan.max_allowed_bytes) },
            })
        })
        .collect();
    let mode = plans.first().map_or("Initial", |(_, plan)| plan.update_mode);
    let fewest = plans.first().map_or(2, |(_, plan)| plan.min_replicas);
    let confidence = containers.iter().map(|r| r.confidence).fold(1.0, f64::min);
    json!({
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": metadata(first, why(containers), confidence),
        "spec": {
            "targetRef": reference(first),
            "updatePolicy": { "updateMode": mode, "minReplicas": fewest },
            "resourcePolicy": { "containerPolicies": policies },
        },
    })
}

fn hpa_object(first: &Recommendation, containers: &[&Recommendation], containers_in_pod: usize) -> Value {
    let plans: Vec<_> = containers.iter().filter_map(|r| Some((r, r.autoscaling.as_ref()?.hpa.as_ref()?))).collect();
    let metric = |r: &Recommendation, percent: u32| {
        let target = json!({ "type": "Utilization", "averageUtilization": percent });
        if containers_in_pod == 1 {
            json!({ "type": "Resource", "resource": { "name": "memory", "target": target } })
        } else {
            let resource = json!({ "name": "memory", "container": r.container, "target": target });
            json!({ "type": "ContainerResource", "containerResource": resource })
        }
    };
    let metrics: Vec<Value> = plans.iter().map(|(r, plan)| metric(r, plan.target_utilization_percent)).collect();
    let wait = plans.iter().map(|(_, plan)| plan.scale_down_stabilization_s).max();
    let confidence = containers.iter().map(|r| r.confidence).fold(1.0, f64::min);
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(first, why(containers), confidence),
        "spec": {
            "scaleTargetRef": reference(first),
            "minReplicas": plans.iter().map(|(_, plan)| plan.min_replicas).max(),
            "maxReplicas": plans.iter().map(|(_, plan)| plan.max_replicas).max(),
            "metrics": metrics,
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": wait,
                    "policies": [{ "type": "Percent", "value": 10, "periodSeconds": 60 }],
                },
            },
        },
    })
}
