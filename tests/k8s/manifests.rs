//! The files, as kubectl, kustomize and the API's own schemas take them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::usage;
use crate::{heapwatch, stderr, stdout, tool};

const START_S: u64 = 1_767_225_600;

/// The folder that `--output-dir` fills, for the made cluster.
fn written() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    let input = dir.path().join("usage.csv");
    std::fs::write(&input, usage::csv(START_S, 8)).expect("written");
    let out = heapwatch(&[
        "k8s",
        "--input",
        &input.display().to_string(),
        "--format",
        "yaml",
        "--output-dir",
        &dir.path().join("out").display().to_string(),
    ]);
    assert!(stdout(&out).starts_with("---\n"), "{}", stderr(&out));
    dir
}

fn deployment(kind: &str, namespace: &str, name: &str, containers: &[&str]) -> Value {
    let each: Vec<Value> = containers
        .iter()
        .map(|c| json!({ "name": c, "image": "example.org/app:1", "resources": { "limits": { "cpu": "1" } } }))
        .collect();
    let mut out = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": each } },
        },
    });
    if kind == "StatefulSet" {
        out["spec"]["serviceName"] = json!(name);
    }
    out
}

const WORKLOADS: [(&str, &str, &[&str]); 3] =
    [("shop", "web", &["app", "proxy"]), ("shop", "cache", &["redis"]), ("back", "queue", &["app"])];

fn run(command: &mut Command) -> String {
    let out = command.output().expect("it runs");
    assert!(out.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&out.stdout), stderr(&out));
    String::from_utf8(out.stdout).expect("UTF-8")
}

fn validate(file: &Path) {
    run(tool("kubernetes-validate").arg("--strict").arg(file));
}

fn yaml(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("a file");
    serde_norway::from_str(&text).expect("YAML")
}

#[test]
fn patches_apply_and_the_result_is_valid() {
    let dir = written();
    for (namespace, name, containers) in WORKLOADS {
        let base = dir.path().join(format!("{name}.json"));
        std::fs::write(&base, deployment("Deployment", namespace, name, containers).to_string()).expect("written");
        let patch = dir.path().join(format!("out/{namespace}.{name}.patch.yaml"));
        let patched = run(tool("kubectl")
            .args(["patch", "--local", "--type=strategic", "-o", "json"])
            .arg("-f")
            .arg(&base)
            .arg("--patch-file")
            .arg(&patch));
        let object: Value = serde_json::from_str(&patched).expect("JSON");
        let sized = object["spec"]["template"]["spec"]["containers"].as_array().expect("containers");
        assert_eq!(sized.len(), containers.len(), "merged by name, none added");
        for container in sized {
            assert!(container["resources"]["requests"]["memory"].is_string(), "{container}");
            assert_eq!(container["resources"]["limits"]["cpu"], "1", "the CPU limit stays");
        }
        let reason = object["metadata"]["annotations"]["heapwatch.dev/reason"].as_str().expect("a reason");
        assert!(reason.contains("highest use"), "{reason}");
        let file = dir.path().join(format!("{name}.patched.json"));
        std::fs::write(&file, patched).expect("written");
        validate(&file);
    }
}

#[test]
fn kustomize_takes_the_folder_as_a_component() {
    let dir = written();
    let base: String =
        WORKLOADS.iter().map(|(ns, name, c)| format!("---\n{}\n", deployment("Deployment", ns, name, c))).collect();
    std::fs::write(dir.path().join("base.yaml"), base).expect("written");
    std::fs::write(dir.path().join("kustomization.yaml"), "resources: [base.yaml]\ncomponents: [out]\n")
        .expect("written");
    let all = run(tool("kubectl").arg("kustomize").arg(dir.path()));
    assert_eq!(all.matches("kind: Deployment\n").count() - all.matches("    kind: Deployment\n").count(), 3, "{all}");
    assert!(all.contains("kind: VerticalPodAutoscaler") && all.contains("kind: HorizontalPodAutoscaler"), "{all}");
}

#[test]
fn autoscalers_pass_their_schemas() {
    let dir = written();
    validate(&dir.path().join("out/shop.web.hpa.yaml"));
    let hpa = yaml(&dir.path().join("out/shop.web.hpa.yaml"));
    assert_eq!(hpa["spec"]["metrics"][0]["containerResource"]["container"], "app");
    check_vpa(&yaml(&dir.path().join("out/shop.cache.vpa.yaml")));
    assert!(!dir.path().join("out/back.queue.vpa.yaml").exists(), "a leak gets no autoscaler");
    assert!(!dir.path().join("out/shop.web.vpa.yaml").exists(), "never both on one resource");
}

/// What the VerticalPodAutoscaler's definition (autoscaling.k8s.io/v1) allows of the fields that are used, no other field, no
/// other value.
fn check_vpa(vpa: &Value) {
    let keys = |v: &Value, allowed: &[&str], required: &[&str]| {
        let have: Vec<&str> = v.as_object().expect("an object").keys().map(String::as_str).collect();
        assert!(
            have.iter().all(|k| allowed.contains(k)) && required.iter().all(|k| have.contains(k)),
            "{have:?} in {v}"
        );
    };
    assert_eq!((&vpa["apiVersion"], &vpa["kind"]), (&"autoscaling.k8s.io/v1".into(), &"VerticalPodAutoscaler".into()));
    keys(vpa, &["apiVersion", "kind", "metadata", "spec", "status"], &["spec"]);
    let spec = &vpa["spec"];
    keys(spec, &["targetRef", "updatePolicy", "resourcePolicy", "recommenders", "startupBoost"], &["targetRef"]);
    keys(&spec["targetRef"], &["apiVersion", "kind", "name"], &["kind", "name"]);
    keys(&spec["updatePolicy"], &["updateMode", "minReplicas", "evictionRequirements"], &[]);
    assert!(spec["updatePolicy"]["minReplicas"].as_u64().is_some_and(|n| n >= 1));
    let modes = ["Off", "Initial", "Recreate", "InPlaceOrRecreate", "Auto"];
    assert!(modes.contains(&spec["updatePolicy"]["updateMode"].as_str().expect("a mode")));
    for policy in spec["resourcePolicy"]["containerPolicies"].as_array().expect("policies") {
        let allowed = ["containerName", "mode", "controlledResources", "controlledValues", "minAllowed", "maxAllowed"];
        keys(policy, &allowed, &["containerName"]);
        assert!(["RequestsAndLimits", "RequestsOnly"].contains(&policy["controlledValues"].as_str().expect("a value")));
        assert_eq!(policy["controlledResources"], json!(["memory"]));
        let bytes = |key: &str| {
            let text = policy[key]["memory"].as_str().expect("a quantity");
            heapwatch::analyze::sizing::amount::parse_quantity(text).expect("a Kubernetes quantity")
        };
        assert!(bytes("minAllowed") <= bytes("maxAllowed"));
    }
}
