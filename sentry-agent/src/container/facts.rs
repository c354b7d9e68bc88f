//! What is known of a container.

use std::collections::BTreeMap;

use sentry_proto::v1;

use super::{Engine, Place, Sandbox};

/// Where facts come from; a higher one includes the lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// The cgroup's path alone.
    #[default]
    Path,
    /// Files of the engine.
    Files,
    /// The kubelet of this node.
    Kubelet,
}

impl Rung {
    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Files => "files",
            Self::Kubelet => "kubelet",
        }
    }
}

/// A container, or a pod as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub engine: Engine,
    pub container_id: Option<String>,
    /// In a pod, the name in the pod's specification.
    pub container_name: Option<String>,
    /// As it was asked for: `registry/name:tag`.
    pub image: Option<String>,
    /// Of the image's manifest: `sha256:…`.
    pub image_digest: Option<String>,
    /// Of the container; for Podman and `ctr` its annotations.
    pub labels: BTreeMap<String, String>,
    pub pod: Option<Pod>,
    /// The cluster's name for this host.
    pub node: Option<String>,
    /// A sandbox container: it only holds the namespaces of its pod.
    pub is_sandbox: bool,
    /// What runs the container for the engine: `runc`, `crun`, `runsc`, `kata`.
    pub runtime: Option<String>,
    /// The container has a kernel of its own, so this host's programs do not see what it does.
    pub sandboxed: Option<Sandbox>,
    pub rung: Rung,
    /// Nothing more will be known later. `false` while the engine's files or the kubelet's answer
    /// are missing: look again.
    pub complete: bool,
}

/// A pod of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub service_account: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Labels and annotations have been read: one that is absent does not exist.
    pub described: bool,
}

impl From<&Place> for Facts {
    /// The lowest rung.
    fn from(place: &Place) -> Self {
        let machine = place.container_id.as_deref().filter(|_| place.engine.names_are_ids());
        Self {
            engine: place.engine,
            container_id: place.container_id.clone(),
            container_name: machine.map(str::to_owned),
            pod: place.pod_uid.clone().map(|uid| Pod { uid, ..Pod::default() }),
            sandboxed: machine.and_then(Sandbox::of_machine),
            ..Self::default()
        }
    }
}

impl From<Facts> for v1::Container {
    fn from(facts: Facts) -> Self {
        Self {
            engine: facts.engine.name().to_owned(),
            id: facts.container_id.unwrap_or_default(),
            name: facts.container_name.unwrap_or_default(),
            image: facts.image.unwrap_or_default(),
            image_digest: facts.image_digest.unwrap_or_default(),
            pod: facts.pod.map(|pod| v1::Pod {
                uid: pod.uid,
                name: pod.name.unwrap_or_default(),
                namespace: pod.namespace.unwrap_or_default(),
                service_account: pod.service_account.unwrap_or_default(),
            }),
            node: facts.node.unwrap_or_default(),
            runtime: facts.runtime.unwrap_or_default(),
            rung: facts.rung.name().to_owned(),
            sandboxed: facts.sandboxed.map_or_else(String::new, |sandbox| sandbox.name().to_owned()),
        }
    }
}

impl Engine {
    /// The engine has no id beside the name.
    const fn names_are_ids(self) -> bool {
        matches!(self, Self::Machined | Self::Lxc)
    }
}
