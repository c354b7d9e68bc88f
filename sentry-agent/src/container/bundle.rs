//! What engines that write an OCI configuration say of a container.

use super::{
    Engine, Facts,
    oci::Config,
    roots::{FileError, Roots, TASKS, read, read_json, text},
    storage,
};

/// Namespaces of containerd: the kubelet's, the one of `ctr` and nerdctl, Docker's.
const NAMESPACES: [&str; 3] = ["k8s.io", "default", "moby"];

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
