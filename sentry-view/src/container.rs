//! The container that a run is in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A container, or a pod as a whole. What is not known is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Container {
    /// docker, containerd, cri-o, podman, machined, lxc or unknown.
    pub engine: String,
    /// The engine's id; null for a whole pod.
    pub id: Option<String>,
    pub name: Option<String>,
    /// As it was asked for: registry/name:tag.
    pub image: Option<String>,
    /// Of the image's manifest: `sha256:…`.
    pub image_digest: Option<String>,
    pub pod: Option<Pod>,
    /// The cluster's name for the host.
    pub node: Option<String>,
    /// What runs the container for the engine: runc, runsc, kata.
    pub runtime: Option<String>,
    /// The highest source that answered: path, files or kubelet.
    pub rung: String,
    /// gvisor, kata or vm: the container has a kernel of its own, and what it does is not seen.
    pub sandboxed: Option<String>,
}

/// A pod of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Pod {
    pub uid: String,
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub service_account: Option<String>,
}
