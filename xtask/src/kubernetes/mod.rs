//! `cargo xtask kubernetes`: the chart on a real cluster, from installing to uninstalling.
//!
//! The cluster is the one that `KUBECONFIG` names, or one that is made here for a few minutes: one
//! node with a control plane of Kubernetes 1.20, built once from Debian's source package. What is
//! typed and answered goes to `target/xtask/kubernetes.txt`, from which the page
//! `docs/install/kubernetes.md` has its transcript.
//!
//! - [`binaries`]: what has to be installed and built. [`cluster`]: the processes of a cluster.
//! - [`images`]: what its pods run. [`shell`]: commands, shown. [`story`]: what has to hold.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};

use self::{cluster::Cluster, shell::Shell, story::Place};
use crate::{
    args::{Args, Usage},
    host::{self, Host},
    image,
    package::Programs,
    setup,
};

mod binaries;
mod cluster;
mod images;
mod shell;
mod story;

/// Given by [`command`] to itself inside of namespaces, with the mount namespace outside.
const INSIDE: &str = "--inside";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let inside = args.flag(INSIDE);
    let outside = args.words().pop();
    if let (true, Some(outside)) = (inside, &outside) {
        args.done()?;
        return on_own_cluster(Path::new(outside));
    }
    if let Some(word) = outside {
        return Err(Usage(word).into());
    }
    args.done()?;
    setup::ensure()?;
    Programs::Dev.build()?;
    image::build(Programs::Dev)?;
    match std::env::var_os("KUBECONFIG") {
        Some(path) => on_given_cluster(path.into()),
        None => {
            binaries::ensure()?;
            isolated()
        }
    }
}

/// Starts this program again in a mount and a network namespace of its own.
fn isolated() -> Result<ExitCode> {
    let unshare = Host::this().which("unshare").context("there is no unshare")?;
    let mut command = host::as_root(&unshare);
    command.args(["--mount", "--net", "--"]);
    command.arg(std::env::current_exe()?).args(["kubernetes", INSIDE]);
    command.arg(cluster::mount_namespace()?).stdin(Stdio::null());
    let status = Command::status(&mut command).context("cannot start unshare")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn on_own_cluster(outside: &Path) -> Result<ExitCode> {
    let bin = binaries::ensure()?;
    let archives = images::all()?;
    let cluster = Cluster::start(bin, outside)?;
    for archive in archives {
        cluster.import(&archive)?;
    }
    let place = Place {
        state: cluster.host_dir("state"),
        runtime: cluster.host_dir("runtime"),
        kubelet: cluster::KUBELET.into(),
        store: Some(cluster.host_dir("store")),
    };
    let shell = Shell::new(cluster.kubectl(), cluster.kubeconfig())?;
    story::tell(&shell, &place)?;
    Ok(ExitCode::SUCCESS)
}

/// The images have to be where the cluster's nodes find them.
fn on_given_cluster(kubeconfig: PathBuf) -> Result<ExitCode> {
    let place = Place {
        state: "/var/lib/agentsentry".into(),
        runtime: "/run/agentsentry".into(),
        kubelet: "unix:/var/lib/kubelet/pods-api/pods-api.sock".into(),
        store: None,
    };
    let shell = Shell::new(shell::deploy_tool("kubectl"), kubeconfig)?;
    story::tell(&shell, &place)?;
    Ok(ExitCode::SUCCESS)
}
