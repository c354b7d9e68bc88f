//! Docker's files: `<data-root>/containers/<id>/config.v2.json` and `hostconfig.json`, written when
//! the container is created.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Engine, Facts, Pod,
    roots::{CONTAINERS, FileError, Roots, read_json, text},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: Option<String>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    runtime: Option<String>,
}

/// Adds what Docker's files say of the container. `false` when there is none.
pub(super) fn add(facts: &mut Facts, id: &str, roots: &Roots) -> Result<bool, FileError> {
    for root in &roots.docker {
        let containers = root.join(CONTAINERS);
        let Some(container) = read_json::<Container>(&containers, &[id, "config.v2.json"])? else {
            continue;
        };
        facts.engine = Engine::Docker;
        facts.container_name = container.name.and_then(|name| text(name.trim_start_matches('/')));
        if let Some(config) = container.config {
            facts.image = config.image.and_then(text);
            facts.labels = config.labels.unwrap_or_default();
        }
        // Docker under a kubelet.
        let kube = |name: &str| facts.labels.get(&format!("io.kubernetes.{name}")).cloned().and_then(text);
        if let Some(uid) = kube("pod.uid") {
            let pod = Pod { uid, name: kube("pod.name"), namespace: kube("pod.namespace"), ..Pod::default() };
            facts.container_name = kube("container.name").or(facts.container_name.take());
            facts.pod = Some(pod);
        }
        if let Some(host) = read_json::<HostConfig>(&containers, &[id, "hostconfig.json"])? {
            facts.runtime = host.runtime.and_then(text);
        }
        return Ok(true);
    }
    Ok(false)
}
