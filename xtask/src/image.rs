//! `cargo xtask image`: the two container images, from nothing but the static programs.
//!
//! Built by podman without a daemon, with the time of their making left out, and written to
//! `target/image/NAME.tar` as OCI archives. The same programs give the same image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    args::Args,
    host, paths,
    static_build::{self, PROGRAMS},
    step::{self, say},
};

const AREA: &str = "image";
/// In front of the name: nobody pulls from there.
pub(crate) const REGISTRY: &str = "localhost/agentsentry";
/// What an image may have, compressed, with optimized programs.
const LIMIT_BYTES: u64 = 15 << 20;

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let profile = if args.flag("--release") { "release" } else { "dev" };
    args.done()?;
    let programs = static_build::static_binaries(profile)?;
    for image in build(&programs)? {
        let size = fs::metadata(&image)?.len();
        say(AREA, format_args!("{}: {:.1} MB", paths::short(&image), size as f64 / 1e6));
        if profile == "release" && size > LIMIT_BYTES {
            bail!("{} is larger than {LIMIT_BYTES} bytes", image.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the image of a program is, once it was built.
pub(crate) fn archive(name: &str) -> PathBuf {
    paths::target().join("image").join(format!("{name}.tar"))
}

/// The name of a program's image.
pub(crate) fn tag(name: &str) -> String {
    format!("{REGISTRY}/{name}:{}", env!("CARGO_PKG_VERSION"))
}

/// Makes the image of each program in the directory; returns the archives.
pub(crate) fn build(programs: &Path) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for (name, _) in PROGRAMS {
        let archive = archive(name);
        let parent = archive.parent().unwrap_or(&archive);
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        match fs::remove_file(&archive) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", archive.display()));
            }
            _ => {}
        }
        let file = paths::root().join("deploy/image").join(format!("{name}.Containerfile"));
        let tag = tag(name);
        let mut command = podman();
        command.args(["build", "--isolation=chroot", "--timestamp=0", "--tag", &tag]);
        command.arg("--build-arg").arg(format!("VERSION={}", env!("CARGO_PKG_VERSION")));
        command.arg("--file").arg(file).arg(programs);
        step::run(AREA, &format!("make the image {tag}"), &format!("image-{name}"), &mut command)?;
        step::capture(
            podman()
                .args(["push", "--quiet", "--format=oci", &tag])
                .arg(format!("oci-archive:{}:{tag}", archive.display())),
        )?;
        archives.push(archive);
    }
    Ok(archives)
}

/// podman with a store of its own, and with what works on any host and in a container.
pub(crate) fn podman() -> Command {
    let mut command = host::as_root(Path::new("podman"));
    let store = paths::target().join("image/store");
    command.arg("--root").arg(&store).arg("--runroot").arg(store.join("run"));
    command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]);
    command
}
