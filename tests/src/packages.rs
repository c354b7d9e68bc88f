//! The Debian packages of the programs under test, as `cargo xtask package --dev` makes them, and
//! versions of them that nobody has released.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::programs::{self, Gathered};

const LIMIT: Duration = Duration::from_secs(180);

/// Packages by name.
pub const NAMES: [&str; 2] = ["agentsentry", "agentsentry-collector"];

/// Where they are, if all of them were made.
#[must_use]
pub fn all() -> Option<Vec<PathBuf>> {
    let version = env!("CARGO_PKG_VERSION");
    NAMES.map(|name| made(&format!("{name}_{version}-1_amd64.deb")).ok()).into_iter().collect()
}

/// The archive with everything, and the checksums.
///
/// # Panics
/// When they were not made.
#[must_use]
pub fn archive() -> [PathBuf; 2] {
    let name = format!("agentsentry-{}-x86_64-linux.tar.xz", env!("CARGO_PKG_VERSION"));
    [&name, "SHA256SUMS"].map(|name| made(name).unwrap())
}

fn made(name: &str) -> io::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/package/dev").join(name).canonicalize()
}

/// The same package with another version, and one that knows no format of the state at all if it
/// is older than that.
///
/// # Panics
/// When it cannot be packed anew.
#[must_use]
pub fn with_version(package: &Path, version: &str, knows_format: bool, scratch: &Path) -> PathBuf {
    let name = package.file_name().unwrap().to_string_lossy();
    let name = name.split('_').next().unwrap();
    let packed = scratch.join(format!("{name}_{version}_amd64.deb"));
    let tree = packed.with_extension("");
    let dpkg_deb = || Command::new("dpkg-deb");
    run(dpkg_deb().arg("--raw-extract").arg(package).arg(&tree));
    edit(&tree.join("DEBIAN/control"), |line| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}"),
        None => line.to_owned(),
    });
    if !knows_format {
        edit(&tree.join("DEBIAN/preinst"), |line| match line.strip_prefix("known=") {
            Some(_) => "known=0".to_owned(),
            None => line.to_owned(),
        });
    }
    run(dpkg_deb().args(["--root-owner-group", "-Znone", "--build"]).arg(&tree).arg(&packed));
    packed
}

fn edit(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.lines().map(|line| change(line) + "\n").collect::<String>()).unwrap();
}

/// Runs something that reads whole packages, which takes its time on a busy machine.
///
/// # Panics
/// When it fails or does not end.
pub fn run(command: &mut Command) {
    let output = Gathered::start(command).wait_within(LIMIT);
    assert!(output.status.success(), "{command:?}: {}", programs::text(&output));
}
