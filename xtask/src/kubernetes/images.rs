//! Images of the cluster's pods: ours, the pause container's, and a shell with tools for agents.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::binaries;
use crate::{host::Host, image, package::PACKAGES, step};

/// Image of the agents.
pub(super) const TOOLS: &str = "localhost/tools:1";
const PAUSE: &str = "localhost/pause:1";
const APPLETS: [&str; 8] = ["sh", "sleep", "cat", "nc", "true", "touch", "date", "ls"];

/// Makes those that are not ours; returns the archives of all.
pub(super) fn all() -> Result<Vec<PathBuf>> {
    let dir = binaries::dir().join("images");
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", dir.display()));
        }
        _ => {}
    }
    let pause = dir.join("pause");
    fs::create_dir_all(&pause)?;
    take("catatonit", &pause.join("pause"))?;
    let tools = dir.join("tools");
    fs::create_dir_all(tools.join("bin"))?;
    fs::create_dir(tools.join("tmp"))?;
    take("busybox", &tools.join("bin/busybox"))?;
    for name in APPLETS {
        symlink("busybox", tools.join("bin").join(name))?;
    }
    let mut archives: Vec<PathBuf> = PACKAGES.iter().map(|package| image::archive(package.program)).collect();
    archives.push(archive(&pause, PAUSE, &["ENTRYPOINT [\"/pause\", \"-P\"]"])?);
    archives.push(archive(&tools, TOOLS, &["ENV PATH=/bin"])?);
    Ok(archives)
}

fn take(program: &str, to: &Path) -> Result<()> {
    let from = Host::this().which(program).with_context(|| format!("there is no {program}"))?;
    fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// An image of what is in the directory.
fn archive(dir: &Path, tag: &str, lines: &[&str]) -> Result<PathBuf> {
    let file = dir.with_extension("Containerfile");
    fs::write(&file, format!("FROM scratch\nCOPY . /\n{}\n", lines.join("\n")))?;
    let mut command = image::podman();
    command.args(["build", "--quiet", "--isolation=chroot", "--tag", tag, "--file"]).arg(file).arg(dir);
    step::capture(&mut command)?;
    let archive = dir.with_extension("tar");
    let to = format!("oci-archive:{}:{tag}", archive.display());
    step::capture(image::podman().args(["push", "--quiet", "--format=oci", tag]).arg(to))?;
    Ok(archive)
}
