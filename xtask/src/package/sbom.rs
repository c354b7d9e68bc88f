//! What is in the programs: a CycloneDX file for each, by cargo-cyclonedx.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    contents::{AREA, PACKAGES},
    files::read,
    programs::TARGET,
    time::Time,
    tool::tool,
};
use crate::{cargo, paths, step};

pub(super) fn make(version: &str, time: &Time, out: &Path) -> Result<Vec<PathBuf>> {
    tool("cargo-cyclonedx", "0.5.9")?;
    let mut command = cargo::workspace("cyclonedx");
    command.args(["--format", "json", "--spec-version", "1.5", "--target", TARGET]);
    command.args(["--no-build-deps", "--override-filename", "sbom"]).env("SOURCE_DATE_EPOCH", &time.seconds);
    step::run(AREA, "list what is in the programs", "package-sbom", &mut command)?;
    let mut files = Vec::new();
    for (member, dir) in cargo::member_dirs()? {
        // Beside each manifest, as cargo-cyclonedx puts it nowhere else.
        let made = dir.join("sbom.json");
        if let Some(package) = PACKAGES.iter().find(|package| package.member == member) {
            let text = read(&made)?.replace(&paths::root().display().to_string(), "/agentsentry");
            let file = out.join(format!("{}-{version}.cdx.json", package.name));
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            files.push(file);
        }
        fs::remove_file(&made).with_context(|| format!("cannot remove {}", made.display()))?;
    }
    Ok(files)
}
