//! Everything in one archive for hosts without a package manager that we know: the files of both
//! packages, with static programs, and the licences.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{
    Programs,
    contents::{AREA, PACKAGES, base},
    files::empty,
    time::Time,
};
use crate::{paths, step};

const LICENCES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "sentry-ebpf/LICENSE-GPL-2.0"];

/// Packs what is laid out now.
pub(super) fn make(programs: Programs, version: &str, time: &Time, out: &Path) -> Result<PathBuf> {
    let name = format!("agentsentry-{version}-{}-linux", std::env::consts::ARCH);
    let dir = base().join("tarball");
    empty(&dir)?;
    let top = dir.join(&name);
    fs::create_dir_all(&top)?;
    for package in &PACKAGES {
        step::capture(Command::new("cp").arg("-r").arg(package.stage().join("root/.")).arg(&top))?;
    }
    for licence in LICENCES {
        step::capture(Command::new("cp").arg(paths::root().join(licence)).arg(&top))?;
    }
    let file = out.join(format!("{name}.tar.xz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    let effort = if programs == Programs::Dev { "-0" } else { "-6" };
    tar.arg("--mode=u+rwX,go+rX,go-w").arg(format!("--use-compress-program=xz --threads=1 {effort}"));
    tar.arg(format!("--mtime=@{}", time.seconds))
        .arg("--file")
        .arg(&file)
        .arg("--directory")
        .arg(&dir)
        .arg(&name);
    step::run(AREA, &format!("pack {}", paths::short(&file)), "package-tarball", &mut tar)?;
    Ok(file)
}
