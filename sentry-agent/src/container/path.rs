//! What the path of a cgroup says about the container it belongs to. Pure: no I/O.
//!
//! Each engine puts the container's id into the path, in a form of its own; Kubernetes adds the
//! pod's uid. The path is read from the root to the leaf and the innermost container wins, so that
//! a container in a container is found, and a cgroup that a container made within its own still
//! belongs to that container.
//!
//! | engine | forms of a segment |
//! |---|---|
//! | Docker | `docker-ID.scope`, `docker/ID` |
//! | containerd | `cri-containerd-ID.scope`, `nerdctl-ID.scope`, `SLICE:PREFIX:ID`, `k8s.io/NAME` |
//! | CRI-O | `crio-ID.scope`, `crio-ID` |
//! | Podman | `libpod-ID.scope`, `libpod-ID` |
//! | kubelet | `pod UID` below `kubepods`, `*kubepods*-podUID.slice`; below it `ID` |
//! | systemd-machined | `machine-NAME.scope`, `systemd-nspawn@NAME.service` in `machine.slice` |
//! | LXC | `lxc.payload.NAME`, `lxc/NAME` |
//! | any | 64 hexadecimal digits |

use std::path::Path;

/// Who runs a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    Docker,
    Containerd,
    Crio,
    Podman,
    /// A machine of systemd-machined: nspawn, or a virtual machine of libvirt.
    Machined,
    Lxc,
    /// The path does not say: the kubelet with the cgroupfs driver, for one.
    #[default]
    Unknown,
}

impl Engine {
    /// The name in configuration and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
            Self::Machined => "machined",
            Self::Lxc => "lxc",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a cgroup belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub engine: Engine,
    /// The engine's id of the container; a name for machined, LXC and `ctr`. `None` for the cgroup
    /// of a whole pod. Never empty, longer than [`ID_LIMIT`], `.`, `..` or with a slash.
    pub container_id: Option<String>,
    /// The pod's uid, as the kubelet writes it: with dashes, or without any for a static pod.
    pub pod_uid: Option<String>,
    /// The namespace of containerd, where the path shows it.
    pub namespace: Option<String>,
    /// A container or machine lies further out. The inner one is then a claim of the outer one's,
    /// which may be able to make cgroups of any name, and its engine's files are inside the outer.
    pub nested: bool,
    /// The form belongs to that engine alone. `false` where it is only likely: `/default/NAME`, or
    /// an id by its shape.
    pub certain: bool,
}

/// Most bytes in a container id or a machine's name; a name in a file system has no more.
pub const ID_LIMIT: usize = 255;

/// The container or the pod that the cgroup at `path` belongs to. `path` is below the mount, with
/// or without a leading slash.
///
/// `None` on the host itself, and for an engine's own helpers (`conmon`).
#[must_use]
pub fn place(path: &Path) -> Option<Place> {
    let mut found: Option<Place> = None;
    let mut parents: Vec<&str> = Vec::new();
    for segment in path {
        // A name that is not UTF-8 is none of an engine's.
        let name = segment.to_str().unwrap_or_default();
        let in_container = found.as_ref().is_some_and(|found| found.container_id.is_some());
        // Within a container the name means nothing: the container may have chosen it.
        if is_helper(name) && !in_container {
            return None;
        }
        // runc without systemd, given a path for systemd, makes one directory of both.
        let (name, id) = match name.split_once(":cri-containerd:") {
            Some((slice, id)) if is_hex_id(id) => (slice, Some(id)),
            _ => (name, None),
        };
        if let Some(uid) = pod_uid(name, &parents) {
            let nested = found.is_some();
            found = Some(Place { pod_uid: Some(uid), nested, certain: true, ..Place::default() });
        }
        let hit = id.map(|id| Hit::sure(Engine::Containerd, id)).or_else(|| container(name, &parents));
        if let Some(hit) = hit {
            found = Some(hit.into_place(found));
        }
        parents.push(name);
    }
    found
}

/// What one segment says.
struct Hit<'a> {
    engine: Engine,
    id: &'a str,
    namespace: Option<&'a str>,
    certain: bool,
}

impl<'a> Hit<'a> {
    fn sure(engine: Engine, id: &'a str) -> Self {
        Self { engine, id, namespace: None, certain: true }
    }

    fn into_place(self, outer: Option<Place>) -> Place {
        let in_pod = outer.as_ref().is_some_and(|outer| outer.container_id.is_none());
        Place {
            engine: self.engine,
            container_id: Some(self.id.to_owned()),
            namespace: self.namespace.map(str::to_owned),
            nested: outer.as_ref().is_some_and(|outer| !in_pod || outer.nested),
            certain: self.certain || in_pod,
            // A container in a pod's container is in the pod too.
            pod_uid: outer.and_then(|outer| outer.pod_uid),
        }
    }
}

/// Prefix of a scope's or a directory's name, before the id.
const BY_PREFIX: [(&str, Engine); 5] = [
    ("docker-", Engine::Docker),
    ("cri-containerd-", Engine::Containerd),
    ("nerdctl-", Engine::Containerd),
    ("crio-", Engine::Crio),
    ("libpod-", Engine::Podman),
];

fn container<'a>(name: &'a str, parents: &[&'a str]) -> Option<Hit<'a>> {
    let unit = name.strip_suffix(".scope").unwrap_or(name);
    let by_prefix = BY_PREFIX.iter().find_map(|(prefix, engine)| Some((*engine, unit.strip_prefix(prefix)?)));
    if let Some((engine, id)) = by_prefix.filter(|(_, id)| is_hex_id(id)) {
        return Some(Hit::sure(engine, id));
    }
    if let Some(id) = name.strip_prefix("lxc.payload.").filter(|id| is_file_name(id)) {
        return Some(Hit::sure(Engine::Lxc, id));
    }
    let likely = |engine, namespace| Some(Hit { engine, id: name, namespace, certain: false });
    match parents.last().copied().unwrap_or("") {
        "docker" if is_hex_id(name) => Some(Hit::sure(Engine::Docker, name)),
        "machine.slice" => machine(name).map(|id| Hit::sure(Engine::Machined, id)),
        "lxc" if is_file_name(name) => likely(Engine::Lxc, None),
        // `ctr` puts a container at the root of the hierarchy, in a directory of its namespace.
        namespace @ ("k8s.io" | "default" | "moby") if is_at_root(parents) && is_file_name(name) => {
            likely(Engine::Containerd, Some(namespace))
        }
        // A pod of Podman's; its containers are below.
        "libpod_parent" => None,
        _ if is_hex_id(name) => likely(Engine::Unknown, None),
        _ => None,
    }
}

/// Nothing but the slash stands above the last of `parents`.
fn is_at_root(parents: &[&str]) -> bool {
    parents.iter().rev().skip(1).all(|above| *above == "/")
}

/// `podUID` below a `kubepods` of the cgroupfs driver, or a pod's slice.
fn pod_uid(name: &str, parents: &[&str]) -> Option<String> {
    if let Some(slice) = name.strip_suffix(".slice") {
        return uid_in_slice(slice);
    }
    let uid = name.strip_prefix("pod")?;
    let below_kubepods = parents.iter().rev().take(2).any(|above| *above == "kubepods");
    (below_kubepods && is_uid(uid)).then(|| uid.to_owned())
}

fn uid_in_slice(slice: &str) -> Option<String> {
    let (above, last) = slice.rsplit_once('-')?;
    let uid = last.strip_prefix("pod")?.replace('_', "-");
    (above.split('-').any(|part| part == "kubepods") && is_uid(&uid)).then_some(uid)
}

/// The engine's own process beside the containers, and not one of them.
fn is_helper(name: &str) -> bool {
    name.starts_with("libpod-conmon-") || name.starts_with("crio-conmon-") || name.starts_with("lxc.monitor.")
}

fn machine(name: &str) -> Option<&str> {
    let scope = name.strip_prefix("machine-").and_then(|name| name.strip_suffix(".scope"));
    let service = || name.strip_prefix("systemd-nspawn@").and_then(|name| name.strip_suffix(".service"));
    scope.or_else(service).filter(|name| is_file_name(name))
}

/// The id of a container in Docker, containerd's CRI, CRI-O and Podman.
fn is_hex_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uid(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Whether `text` names a file in a directory, and neither the directory nor the one above.
pub(super) fn is_file_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ID_LIMIT
        && text != "."
        && text != ".."
        && !text.bytes().any(|byte| byte == b'/' || byte == 0)
}

#[cfg(test)]
mod tests;
