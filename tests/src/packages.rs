//! The Debian packages of the programs under test, as `cargo xtask package --dev` makes them, and versions of them that
//! nobody has released.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::programs;

/// Packages by name.
pub const NAMES: [&str; 2] = ["agentsentry", "agentsentry-collector"];

/// Where they are, if all of them were made.
#[must_use]
pub fn all() -> Option<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/package/dev");
    let files = NAMES.map(|name| dir.join(format!("{name}.deb")).canonicalize().ok());
    files.into_iter().collect()
}

/// The same package with another version.
///
/// # Panics
/// When it cannot be packed anew.
#[must_use]
pub fn with_version(package: &Path, version: &str, scratch: &Path) -> PathBuf {
    let name = package.file_stem().unwrap().to_string_lossy();
    let (tree, packed) =
        (scratch.join(format!("{name}-{version}")), scratch.join(format!("{name}_{version}.deb")));
    let dpkg_deb = || Command::new("dpkg-deb");
    run(dpkg_deb().arg("--raw-extract").arg(package).arg(&tree));
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}\n"),
        None => format!("{line}\n"),
    });
    fs::write(&control, lines.collect::<String>()).unwrap();
    run(dpkg_deb().args(["--root-owner-group", "-Znone", "--build"]).arg(&tree).arg(&packed));
    packed
}

fn run(command: &mut Command) {
    let output = programs::finish(command);
    assert!(output.status.success(), "{command:?}: {}", programs::text(&output));
}
