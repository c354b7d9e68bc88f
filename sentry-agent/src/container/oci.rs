//! The OCI configuration that an engine writes for its runtime (`config.json` in the bundle), with
//! the engine's annotations. containerd's CRI, CRI-O and Podman put names there.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Engine, Facts, Pod,
    roots::{FileError, Roots, read, read_json, text},
    storage,
};

/// containerd's directory of bundles: `<namespace>/<id>` below it.
const TASKS: &str = "io.containerd.runtime.v2.task";

/// Namespaces of containerd: the kubelet's, the one of `ctr` and nerdctl, Docker's.
const NAMESPACES: [&str; 3] = ["k8s.io", "default", "moby"];

#[derive(Debug, Default, Deserialize)]
pub(super) struct Config {
    annotations: Option<BTreeMap<String, String>>,
}

impl Config {
    pub(super) fn annotation(&self, key: &str) -> Option<String> {
        self.annotations.as_ref()?.get(key).cloned().and_then(text)
    }

    /// Annotations that no engine made.
    fn of_the_user(&self) -> BTreeMap<String, String> {
        const OF_ENGINES: [&str; 6] = [
            "io.kubernetes.",
            "io.container.manager",
            "io.podman.",
            "io.katacontainers.",
            "org.opencontainers.",
            "org.systemd.property.",
        ];
        let of_engine = |key: &str| OF_ENGINES.iter().any(|prefix| key.starts_with(prefix));
        let all = self.annotations.iter().flatten();
        all.filter(|(key, _)| !of_engine(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// What containerd's CRI, `ctr` and nerdctl say.
    fn containerd(&self, facts: &mut Facts) {
        let cri = |name: &str| self.annotation(&format!("io.kubernetes.cri.{name}"));
        facts.container_name = cri("container-name")
            .or_else(|| self.annotation("nerdctl/name"))
            .or_else(|| facts.container_id.clone().filter(|_| facts.pod.is_none()));
        facts.image = cri("image-name");
        facts.is_sandbox = cri("container-type").as_deref() == Some("sandbox");
        facts.labels = self.of_the_user();
        let name = cri("sandbox-name");
        if let (Some(name), Some(uid)) = (name, cri("sandbox-uid").or_else(|| uid_of(facts))) {
            let namespace = cri("sandbox-namespace");
            facts.pod = Some(Pod { uid, name: Some(name), namespace, ..Pod::default() });
        }
    }

    /// What CRI-O and Podman say.
    fn storage(&self, facts: &mut Facts) {
        let crio = |name: &str| self.annotation(&format!("io.kubernetes.cri-o.{name}"));
        let kube = |name: &str| self.annotation(&format!("io.kubernetes.{name}"));
        facts.container_name = kube("container.name");
        facts.image = crio("ImageName").or_else(|| crio("Image"));
        facts.runtime = crio("RuntimeHandler");
        facts.is_sandbox = crio("ContainerType").as_deref() == Some("sandbox");
        facts.labels = match crio("Labels") {
            Some(labels) => serde_json::from_str(&labels).unwrap_or_default(),
            None => self.of_the_user(),
        };
        if let Some(uid) = kube("pod.uid").or_else(|| uid_of(facts)) {
            let (name, namespace) = (kube("pod.name"), kube("pod.namespace"));
            facts.pod = Some(Pod { uid, name, namespace, ..Pod::default() });
        }
    }

    /// Labels and annotations of the pod, from the configuration of its sandbox.
    fn describe(&self, pod: &mut Pod) {
        let crio = |name: &str| {
            let json = self.annotations.as_ref()?.get(&format!("io.kubernetes.cri-o.{name}"))?;
            serde_json::from_str::<BTreeMap<String, String>>(json).ok()
        };
        if let (Some(labels), Some(annotations)) = (crio("Labels"), crio("Annotations")) {
            pod.labels = labels;
            pod.annotations = annotations;
            pod.described = true;
        }
    }
}

fn uid_of(facts: &Facts) -> Option<String> {
    facts.pod.as_ref().map(|pod| pod.uid.clone())
}

/// Adds what containerd's bundle of the container says. `false` when there is none.
pub(super) fn of_containerd(
    facts: &mut Facts,
    id: &str,
    namespace: Option<&str>,
    roots: &Roots,
) -> Result<bool, FileError> {
    for root in &roots.containerd {
        let tasks = root.join(TASKS);
        for namespace in NAMESPACES.iter().filter(|name| namespace.is_none_or(|only| only == **name)) {
            let Some(config) = read_json::<Config>(&tasks, &[namespace, id, "config.json"])? else {
                continue;
            };
            facts.engine = Engine::Containerd;
            config.containerd(facts);
            if let Some(shim) = read(&tasks, &[namespace, id, "shim-binary-path"])? {
                facts.runtime = runtime_of_shim(&String::from_utf8_lossy(&shim));
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// `/usr/bin/containerd-shim-runc-v2` is `runc`.
fn runtime_of_shim(path: &str) -> Option<String> {
    let file = path.trim().rsplit('/').next()?.strip_prefix("containerd-shim-")?;
    text(file.rsplit_once('-').map_or(file, |(name, _version)| name))
}

/// Adds what CRI-O's or Podman's configuration of the container says. `false` when there is none.
pub(super) fn of_storage(facts: &mut Facts, id: &str, roots: &Roots) -> Result<bool, FileError> {
    let Some(config) = storage::configuration(id, roots)? else { return Ok(false) };
    config.storage(facts);
    facts.engine = match config.annotation("io.container.manager").as_deref() {
        Some("cri-o") => Engine::Crio,
        Some("libpod") => Engine::Podman,
        _ => facts.engine,
    };
    if let (Some(pod), Some(sandbox)) = (&mut facts.pod, config.annotation("io.kubernetes.cri-o.SandboxID"))
        && let Some(config) = storage::configuration(&sandbox, roots)?
    {
        config.describe(pod);
        facts.runtime =
            facts.runtime.take().or_else(|| config.annotation("io.kubernetes.cri-o.RuntimeHandler"));
    }
    storage::add_names(facts, id, roots)?;
    Ok(true)
}
