//! `.rpm`, by cargo-generate-rpm out of what is laid out. What is not files stands in the
//! manifests, under `package.metadata.generate-rpm`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    contents::{AREA, Package},
    time::Time,
    tool::tool,
};
use crate::{cargo, paths, step};

pub(super) fn make(package: &Package, version: &str, time: &Time, out: &Path) -> Result<PathBuf> {
    tool("cargo-generate-rpm", "0.21.1")?;
    let file = out.join(format!("{}-{version}-1.{}.rpm", package.name, std::env::consts::ARCH));
    let mut command = cargo::workspace("generate-rpm");
    command.args(["--package", package.member, "--auto-req", "builtin", "--payload-compress", "xz"]);
    command.args(["--source-date", &time.seconds, "--output"]).arg(&file);
    let log = format!("package-rpm-{}", package.name);
    step::run(AREA, &format!("pack {}", paths::short(&file)), &log, &mut command)?;
    Ok(file)
}
