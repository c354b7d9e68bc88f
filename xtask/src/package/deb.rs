//! `.deb`, by cargo-deb out of what is laid out. What is not files stands in the manifests, under
//! `package.metadata.deb`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    Programs,
    contents::{AREA, Package},
    manifest::version,
    time::Time,
};
use crate::{cargo, paths, step};

pub(super) fn make(package: &Package, programs: Programs, time: &Time, out: &Path) -> Result<PathBuf> {
    let file = out.join(format!("{}_{}-1_amd64.deb", package.name, version(package)?));
    let mut command = cargo::workspace("deb");
    // Whatever is in the packages is built and stripped already.
    command.args(["--no-build", "--no-strip", "--locked", "--package", package.member]);
    if programs == Programs::Dev {
        command.arg("--fast");
    }
    // By the program xz: cargo-deb is installed without the library.
    command.arg("--compress-system").arg("--output").arg(&file);
    command.env("SOURCE_DATE_EPOCH", &time.seconds);
    step::run(
        AREA,
        &format!("pack {}", paths::short(&file)),
        &format!("package-{}", package.name),
        &mut command,
    )?;
    Ok(file)
}
