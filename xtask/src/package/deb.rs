//! `.deb`, by cargo-deb out of what is laid out. What is not files stands in the manifests, under
//! `package.metadata.deb`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{AREA, Package, Programs, Time, stage};
use crate::{cargo, paths, step};

pub(super) fn make(package: &Package, programs: Programs, time: &Time, out: &Path) -> Result<PathBuf> {
    let file = out.join(format!("{}_{}-1_amd64.deb", package.name, stage::version(package)?));
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

/// Who answers for the package, as its manifest says.
pub(super) fn maintainer(package: &Package) -> Result<String> {
    let path = paths::root().join(package.member).join("Cargo.toml");
    let manifest: toml::Table = super::read(&path)?.parse()?;
    let at = ["package", "metadata", "deb", "maintainer"];
    let found = at.iter().try_fold(&toml::Value::Table(manifest), |value, key| value.get(*key)).cloned();
    let maintainer = found.as_ref().and_then(toml::Value::as_str);
    Ok(maintainer.with_context(|| format!("{} names no maintainer", paths::short(&path)))?.to_owned())
}
