//! Files and directories.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Removes the directory with all that is in it.
pub(crate) fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

pub(super) fn make_above(path: &Path) -> Result<()> {
    let above = path.parent().context("a path without a directory")?;
    fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))
}
