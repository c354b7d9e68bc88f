//! The OCI configuration that an engine writes for its runtime (`config.json` in the bundle), with
//! the engine's annotations. containerd's CRI, CRI-O and Podman put names there.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Facts, Pod, roots::text};

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
    pub(super) fn containerd(&self, facts: &mut Facts) {
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
    pub(super) fn storage(&self, facts: &mut Facts) {
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
    pub(super) fn describe(&self, pod: &mut Pod) {
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
