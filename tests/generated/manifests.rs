//! Manifests against the schemas of Kubernetes, of the Prometheus operator, and of Prometheus itself.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{heapwatch, must, node_folder, text, type_check};

const CUSTOM: [&str; 3] = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];

fn written(more: &[&str]) -> TempDir {
    let dir = TempDir::new().expect("a folder");
    let out = dir.path().display().to_string();
    text(&heapwatch("manifests", &[&["--ceiling", "900MiB", "--out", &out], more].concat()));
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path());
    entries.collect()
}

fn kind(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("text");
    text.lines().find_map(|l| l.strip_prefix("kind: ")).expect("a kind").to_owned()
}

/// Both ways to be found, and a token.
fn clusters() -> [TempDir; 2] {
    [written(&["--only", "kubernetes"]), written(&["--monitor", "pod", "--token-secret", "metrics=token"])]
}

#[test]
fn core_objects_are_valid() {
    for dir in clusters() {
        let objects = files(&dir.path().join("kubernetes"));
        let core = objects.iter().filter(|f| !CUSTOM.contains(&kind(f).as_str())).map(|f| f.display().to_string());
        let core: Vec<String> = core.collect();
        assert!(!core.is_empty());
        for file in core {
            must("kubernetes-validate", &["--strict", &file], dir.path());
        }
    }
}

/// Types find keys that do not exist, the schema's own check finds values that are not allowed.
#[test]
fn custom_objects_are_valid() {
    let node = node_folder();
    for dir in clusters() {
        for file in files(&dir.path().join("kubernetes")) {
            let kind = kind(&file);
            if !CUSTOM.contains(&kind.as_str()) {
                continue;
            }
            let yaml = std::fs::read_to_string(&file).expect("text");
            let object: serde_json::Value = serde_norway::from_str(&yaml).expect("YAML");
            let module = format!("@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/{kind}");
            let source = format!(
                "import {{ {kind}, type I{kind} }} from '{module}';\n\
                 const object: I{kind} = {object};\nnew {kind}(object).validate();\n"
            );
            type_check(node.path(), &kind, &source);
            must("node", &[&format!("{kind}.mjs")], node.path());
        }
    }
}

#[test]
fn prometheus_takes_its_configuration() {
    for transport in ["scrape", "otlp"] {
        let dir = written(&["--only", "compose", "--transport", transport]);
        let stack = dir.path().join("compose");
        // Paths inside the container become paths of the folder.
        let config = std::fs::read_to_string(stack.join("prometheus.yml")).expect("text");
        let here = config.replace("/etc/prometheus/", "");
        std::fs::write(stack.join("prometheus.yml"), here).expect("written");
        let said = must("promtool", &["check", "config", "prometheus.yml"], &stack);
        assert!(said.contains("rules found"), "the rule file is loaded: {said}");
    }
}

/// Every file that a container is given is one that was written, and every pipeline names parts that exist.
#[test]
fn the_stack_holds_together() {
    let dir = written(&["--only", "compose"]);
    let stack = dir.path().join("compose");
    let read = |name: &str| -> serde_json::Value {
        serde_norway::from_str(&std::fs::read_to_string(stack.join(name)).expect("text")).expect("YAML")
    };
    let compose = read("docker-compose.yaml");
    let services = compose["services"].as_object().expect("services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["checkout", "grafana", "otel-collector", "prometheus"]);
    for mount in services.values().filter_map(|s| s["volumes"].as_array()).flatten() {
        let host = mount.as_str().and_then(|m| m.split(':').next()).expect("a path");
        assert!(stack.join(host).exists(), "{host}");
    }
    for port in services.values().filter_map(|s| s["ports"].as_array()).flatten() {
        assert!(port.as_str().is_some_and(|p| p.starts_with("127.0.0.1:")), "{port}");
    }
    let collector = read("otel-collector.yaml");
    for part in ["receivers", "processors", "exporters"] {
        for name in collector["service"]["pipelines"]["metrics"][part].as_array().expect("names") {
            assert!(!collector[part][name.as_str().expect("a name")].is_null(), "{part} {name}");
        }
    }
}

#[test]
fn what_is_printed_is_one_stream_for_a_cluster() {
    let printed = text(&heapwatch("manifests", &[]));
    assert_eq!(printed.matches("\nkind: ").count(), 4);
    assert!(printed.starts_with("---\n# kubernetes/service.yaml\n") && !printed.contains("scrape_configs"));
}

#[test]
fn bad_arguments_are_refused_and_nothing_is_written() {
    let dir = TempDir::new().expect("a folder");
    let out = dir.path().join("x").display().to_string();
    for (arguments, want) in [
        (&["--port", "0"][..], "port"),
        (&["--usage", "1.5"], "usage ratio 1.5"),
        (&["--label", "a-b=c"], "label name `a-b`"),
        (&["--label", "team=a b"], "value `a b`"),
        (&["--spike", "much"], "--spike"),
    ] {
        let refused = heapwatch("manifests", &[arguments, &["--out", &out]].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(want) && !Path::new(&out).exists(), "{arguments:?}: {said}");
    }
}
