//! Where an orchestrator says the process runs: variables and files that a pod's manifest fills by the downward
//! interface.
//!
//! Nothing here is a limit to hold against: a container without one is told its node's capacity. The limit that counts
//! is the control group's.

use super::root::ProcRoot;
use crate::snapshot::Placement;

/// Longest value taken; Kubernetes' names have at most 253 characters.
const VALUE_BOUND_BYTES: usize = 256;

/// Variables and files of one fact, most specific first, and its name among `OTEL_RESOURCE_ATTRIBUTES`.
struct Sources {
    variables: &'static [&'static str],
    files: &'static [&'static str],
    attribute: &'static str,
}

const POD: Sources = Sources {
    variables: &["POD_NAME", "K8S_POD_NAME", "MY_POD_NAME", "KUBERNETES_POD_NAME"],
    files: &["/etc/podinfo/name", "/etc/podinfo/pod_name"],
    attribute: "k8s.pod.name",
};
const NAMESPACE: Sources = Sources {
    variables: &["POD_NAMESPACE", "K8S_NAMESPACE", "MY_POD_NAMESPACE", "KUBERNETES_NAMESPACE"],
    files: &["/etc/podinfo/namespace", "/var/run/secrets/kubernetes.io/serviceaccount/namespace"],
    attribute: "k8s.namespace.name",
};
const NODE: Sources = Sources {
    variables: &["NODE_NAME", "K8S_NODE_NAME", "MY_NODE_NAME", "KUBERNETES_NODE_NAME"],
    files: &["/etc/podinfo/node", "/etc/podinfo/node_name"],
    attribute: "k8s.node.name",
};
const CONTAINER: Sources = Sources {
    variables: &["CONTAINER_NAME", "K8S_CONTAINER_NAME"],
    files: &["/etc/podinfo/container"],
    attribute: "k8s.container.name",
};
const LIMIT: Sources = Sources {
    variables: &["MEMORY_LIMIT", "MY_MEM_LIMIT"],
    files: &["/etc/podinfo/mem_limit", "/etc/podinfo/memory_limit"],
    attribute: "",
};
const REQUEST: Sources = Sources {
    variables: &["MEMORY_REQUEST", "MY_MEM_REQUEST"],
    files: &["/etc/podinfo/mem_request", "/etc/podinfo/memory_request"],
    attribute: "",
};

/// Reads the placement. `variable` looks up the environment. In a cluster the host's name is the pod's name where no
/// manifest says it.
pub fn placement(root: &ProcRoot, variable: &dyn Fn(&str) -> Option<String>) -> Placement {
    let find = |sources: &Sources| find(root, variable, sources);
    let in_cluster = variable("KUBERNETES_SERVICE_HOST").is_some();
    Placement {
        pod: find(&POD).or_else(|| in_cluster.then(|| variable("HOSTNAME").and_then(usable)).flatten()),
        namespace: find(&NAMESPACE),
        node: find(&NODE),
        container: find(&CONTAINER),
        limit_bytes: find(&LIMIT).and_then(|text| quantity_bytes(&text)),
        request_bytes: find(&REQUEST).and_then(|text| quantity_bytes(&text)),
    }
}

fn find(root: &ProcRoot, variable: &dyn Fn(&str) -> Option<String>, sources: &Sources) -> Option<String> {
    let from_variable = || sources.variables.iter().find_map(|name| variable(name).and_then(usable));
    let from_file = || sources.files.iter().find_map(|path| root.text(path).ok().and_then(usable));
    let attribute = || variable("OTEL_RESOURCE_ATTRIBUTES").and_then(|list| attribute(&list, sources.attribute));
    from_variable().or_else(from_file).or_else(attribute)
}

fn attribute(list: &str, want: &str) -> Option<String> {
    let value = list.split(',').filter_map(|pair| pair.split_once('=')).find(|(name, _)| name.trim() == want)?.1;
    usable(value.to_owned())
}

fn usable(text: String) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= VALUE_BOUND_BYTES && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// A Kubernetes quantity (`536870912`, `512Mi`, `1.5G`) in bytes.
fn quantity_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 9] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("", 1.0),
    ];
    let (number, scale) = UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let bytes = number.trim().parse::<f64>().ok()? * scale;
    (bytes >= 1.0 && bytes < (1u64 << 62) as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Placement {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/podinfo")).unwrap();
        std::fs::write(dir.path().join("etc/podinfo/namespace"), "shop\n").unwrap();
        std::fs::write(dir.path().join("etc/podinfo/mem_limit"), "512Mi").unwrap();
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        placement(&ProcRoot::new(dir.path()), &find)
    }

    #[test]
    fn variables_come_before_files_and_files_before_attributes() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "k8s.namespace.name=other, k8s.node.name=n7");
        let got = from(&[("POD_NAME", " web-1 "), attributes]);
        let want = Placement {
            pod: Some("web-1".to_owned()),
            namespace: Some("shop".to_owned()),
            node: Some("n7".to_owned()),
            limit_bytes: Some(512 << 20),
            ..Placement::default()
        };
        assert_eq!(got, want);
        assert_eq!(from(&[("POD_NAMESPACE", "mine")]).namespace.as_deref(), Some("mine"));
    }

    #[test]
    fn the_host_name_is_a_pod_only_in_a_cluster() {
        assert_eq!(from(&[("HOSTNAME", "box")]).pod, None);
        let got = from(&[("HOSTNAME", "web-2"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")]);
        assert_eq!(got.pod.as_deref(), Some("web-2"));
    }

    #[test]
    fn hostile_values_are_left_out() {
        let long = "x".repeat(VALUE_BOUND_BYTES + 1);
        for bad in ["", "  ", "a\nb", long.as_str()] {
            assert_eq!(from(&[("POD_NAME", bad)]).pod, None);
        }
    }

    #[test]
    fn quantities() {
        assert_eq!(quantity_bytes("1.5Gi"), Some(1_610_612_736));
        assert_eq!(quantity_bytes("100M"), Some(100_000_000));
        for bad in ["", "Mi", "NaN", "inf", "-1", "1e30", "12Pi"] {
            assert_eq!(quantity_bytes(bad), None, "{bad}");
        }
    }
}
