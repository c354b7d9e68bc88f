//! Modules of a kernel that some tests need, from its package: `modules.cpio` beside the image,
//! which is put behind the common file system. `tests/vm/init` inserts them in the order of their
//! names.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::vm::initramfs;

/// Those that are not built in: file systems and families of sockets, each behind what it needs.
const WANTED: [&str; 8] =
    ["libcrc32c", "udp_tunnel", "ip6_udp_tunnel", "sctp", "af_alg", "algif_hash", "vsock", "overlay"];
/// Where the guest finds them.
const DIR: &str = "opt/agentsentry/modules";

/// Packs those of the wanted modules that the unpacked package has; the archive may be empty.
pub(super) fn pack(tree: &Path, dir: &Path, archive: &Path) -> Result<()> {
    let root = dir.join("modules");
    let place = root.join(DIR);
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let found = files_of(tree);
    for (number, name) in WANTED.iter().enumerate() {
        let Some(file) = found.get(*name) else { continue };
        let to = place.join(format!("{number}-{name}.ko"));
        if file.extension().is_some_and(|extension| extension == "xz") {
            let unpacked = Command::new("xz").arg("-dc").arg(file).output().context("cannot start xz")?;
            fs::write(&to, unpacked.stdout).with_context(|| format!("cannot write {}", to.display()))?;
        } else {
            fs::copy(file, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    initramfs::archive(&root, archive)?;
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))
}

/// The module files of a package by the module's name.
fn files_of(tree: &Path) -> HashMap<String, PathBuf> {
    let mut found = HashMap::new();
    let mut left = vec![tree.join("lib/modules"), tree.join("usr/lib/modules")];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(path);
            } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
                // Names of files have dashes where those of modules have underscores, not always.
                found.insert(name.replace('-', "_"), path);
            }
        }
    }
    found
}

/// The common file system with the modules behind it, in one file for the boot loader.
pub(super) fn join(base: &Path, modules: &Path, to: &Path) -> Result<()> {
    let mut bytes = fs::read(base).with_context(|| format!("cannot read {}", base.display()))?;
    bytes.extend(fs::read(modules).with_context(|| format!("cannot read {}", modules.display()))?);
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_their_names_wherever_they_are() {
        let tree = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        for file in ["lib/modules/6.1/kernel/fs/over-lay.ko", "usr/lib/modules/7.2/kernel/net/sctp.ko.xz"] {
            let path = tree.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut names: Vec<String> = files_of(&tree).into_keys().collect();
        names.sort();
        assert_eq!(names, ["over_lay", "sctp"]);
        fs::remove_dir_all(&tree).unwrap();
    }
}
