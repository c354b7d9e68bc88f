//! The programs of a cluster: Debian's packages, and Kubernetes from Debian's source package.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    host::{self, Host},
    paths,
    step::{self, Unavailable},
};

const AREA: &str = "kubernetes";
const KUBERNETES: [&str; 5] =
    ["kube-apiserver", "kubelet", "kube-controller-manager", "kube-scheduler", "kubectl"];
/// Programs and the packages that bring them.
const PACKAGES: [(&str, &str); 8] = [
    ("etcd", "etcd-server"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("catatonit", "catatonit"),
    ("busybox", "busybox-static"),
    ("openssl", "openssl"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
];
const CNI: &str = "/usr/lib/cni/bridge";

/// Where everything of the cluster is.
pub(super) fn dir() -> PathBuf {
    paths::target().join("kubernetes")
}

/// Installs and builds what is missing; returns the directory of Kubernetes' programs.
pub(super) fn ensure() -> Result<PathBuf> {
    let host = Host::this();
    let mut packages: Vec<&str> =
        PACKAGES.iter().filter(|(name, _)| host.which(name).is_none()).map(|(_, package)| *package).collect();
    if !host.file(CNI).is_file() {
        packages.push("containernetworking-plugins");
    }
    let bin = dir().join("bin");
    let is_built = KUBERNETES.iter().all(|name| bin.join(name).is_file());
    if !is_built {
        packages.extend(["golang-go", "dpkg-dev"].iter().filter(|_| host.which("go").is_none()));
    }
    if !packages.is_empty() {
        install(&packages)?;
    }
    if !is_built {
        let dir = dir();
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mut command = Command::new("sh");
        command.args(["-c", include_str!("build.sh"), "build.sh"]).arg(&dir);
        let what = "build Kubernetes from Debian's source package (needs a deb-src line; up to an hour)";
        step::run(AREA, what, "kubernetes-build", &mut command)?;
    }
    Ok(bin)
}

fn install(packages: &[&str]) -> Result<()> {
    let host = Host::this();
    let Some(apt) = host.which("apt-get") else {
        let list = packages.join(" ");
        return Err(Unavailable(format!("there is no apt to install these with: {list}")).into());
    };
    let mut command = host::as_root(&apt);
    command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    step::run(AREA, &format!("install {}", packages.join(", ")), "kubernetes-packages", &mut command)
}
