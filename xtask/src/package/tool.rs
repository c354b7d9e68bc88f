//! Programs of cargo's that packages are made with.

use anyhow::Result;

use super::contents::AREA;
use crate::{cargo, host::Host, step};

/// A program of cargo's that is installed when it is needed for the first time.
pub(super) fn tool(name: &str, version: &str) -> Result<()> {
    let installed = Host::this().which(name).is_some();
    if installed {
        return Ok(());
    }
    let mut command = cargo::workspace("install");
    command.args([name, "--version", version, "--locked"]);
    step::run(AREA, &format!("compile {name}, some minutes"), &format!("package-{name}"), &mut command)
}
