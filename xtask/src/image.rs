//! `cargo xtask image`: the two container images, from nothing but a program. What is released is
//! static; the images of the tests have the debug program with the libraries of this host, so that
//! nothing is compiled a second time for them.
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
    host, libraries,
    package::{self, PACKAGES, Programs},
    paths, setup,
    step::{self, say},
};

const AREA: &str = "image";
/// In front of the name: nobody pulls from there.
pub(crate) const REGISTRY: &str = "localhost/agentsentry";
/// What an image may have, compressed, with optimized programs.
const LIMIT_BYTES: u64 = 15 << 20;

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let programs = if args.flag("--release") { Programs::Static } else { Programs::Dev };
    args.done()?;
    setup::ensure()?;
    programs.build()?;
    for image in build(programs)? {
        let size = fs::metadata(&image)?.len();
        say(AREA, format_args!("{}: {:.1} MB", paths::short(&image), size as f64 / 1e6));
        if programs == Programs::Static && size > LIMIT_BYTES {
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

/// Makes the image of each program, which is built; returns the archives.
pub(crate) fn build(programs: Programs) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for (index, name) in PACKAGES.map(|package| package.program).into_iter().enumerate() {
        let archive = archive(name);
        let root = archive.with_extension("root");
        match fs::remove_file(&archive) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", archive.display()));
            }
            _ => {}
        }
        package::empty(&root)?;
        lay_out(&programs.dir().join(name), &root, programs)?;
        let file = paths::root().join("deploy/image").join(format!("{name}.Containerfile"));
        let tag = tag(name);
        let mut command = podman();
        command.args(["build", "--isolation=chroot", "--timestamp=0", "--tag", &tag]);
        command.arg("--build-arg").arg(format!("VERSION={}", env!("CARGO_PKG_VERSION")));
        command.arg("--file").arg(file).arg(root);
        step::run(
            AREA,
            &format!("{} of {}: make the image {tag}", index + 1, PACKAGES.len()),
            &format!("image-{name}"),
            &mut command,
        )?;
        step::capture(
            podman()
                .args(["push", "--quiet", "--format=oci", &tag])
                .arg(format!("oci-archive:{}:{tag}", archive.display())),
        )?;
        archives.push(archive);
    }
    Ok(archives)
}

/// The files of an image, as they will be in it.
fn lay_out(program: &Path, root: &Path, programs: Programs) -> Result<()> {
    let name = program.file_name().context("a program without a name")?;
    package::strip(program, &root.join("usr/bin").join(name))?;
    if programs == Programs::Dev {
        for library in libraries::of(&[program])? {
            let to = root.join(library.strip_prefix("/").unwrap_or(&library));
            fs::create_dir_all(to.parent().unwrap_or(root))?;
            fs::copy(&library, &to).with_context(|| format!("cannot copy {}", library.display()))?;
        }
    }
    Ok(())
}

/// podman with a store of its own, and with what works on any host and in a container.
pub(crate) fn podman() -> Command {
    let mut command = host::as_root(Path::new("podman"));
    let store = paths::target().join("image/store");
    command.arg("--root").arg(&store).arg("--runroot").arg(store.join("run"));
    command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]);
    command
}
