//! What the manifest of a package's crate says.

use anyhow::{Context as _, Result};

use super::{contents::Package, files::read};
use crate::{cargo, paths};

/// The version in the package's manifest.
pub(super) fn version(package: &Package) -> Result<String> {
    let metadata = cargo::metadata()?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let found = packages.find(|found| found["name"] == package.member);
    let version = found.and_then(|found| found["version"].as_str());
    Ok(version.with_context(|| format!("cargo knows no version of {}", package.member))?.to_owned())
}

/// Who answers for the package, as its manifest says.
pub(super) fn maintainer(package: &Package) -> Result<String> {
    let path = paths::root().join(package.member).join("Cargo.toml");
    let manifest: toml::Table = read(&path)?.parse()?;
    let at = ["package", "metadata", "deb", "maintainer"];
    let found = at.iter().try_fold(&toml::Value::Table(manifest), |value, key| value.get(*key)).cloned();
    let maintainer = found.as_ref().and_then(toml::Value::as_str);
    Ok(maintainer.with_context(|| format!("{} names no maintainer", paths::short(&path)))?.to_owned())
}
