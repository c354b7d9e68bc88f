//! Fetching a kernel once: `target/vm/kernels/<package pattern>/{vmlinuz,modules.cpio}`.
//!
//! Trust comes from the archive's signature, not from the connection: `InRelease` is checked with
//! the keys apt uses, it carries the hash of the package index, which carries the hash of the
//! package. Delete the folder to get a newer kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    host::Host,
    paths,
    step::{self, say},
    vm::{
        matrix::Kernel,
        mirror::{self, Mirror},
        modules, packages,
    },
};

const AREA: &str = "vm";
const INDEX: &str = "main/binary-amd64/Packages.xz";

/// What a kernel is booted from.
pub(super) struct Files {
    pub(super) image: PathBuf,
    /// See [`modules`].
    pub(super) modules: PathBuf,
}

/// The kernel's files, from the cache or the mirror.
pub(super) fn fetch(kernel: &Kernel) -> Result<Files> {
    let dir = paths::target().join("vm/kernels").join(kernel.package.replace(['*', '/'], "_"));
    let files = Files { image: dir.join("vmlinuz"), modules: dir.join("modules.cpio") };
    // The image is the last to be placed.
    if files.image.is_file() && files.modules.is_file() {
        return Ok(files);
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mirror = mirror::find()?;
    let index = index(&mirror, kernel, &dir)?;
    let tree = dir.join("tree");
    if tree.exists() {
        // Of a fetch that was cut short.
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    let mut origin = String::new();
    for pattern in [Some(&kernel.package), kernel.modules.as_ref()].into_iter().flatten() {
        let package = packages::newest(&index, pattern)
            .with_context(|| format!("{} has no package {pattern}", kernel.suite))?;
        let deb = dir.join("kernel.deb");
        let what = format!("fetch {} {}", package.name, package.version);
        download(&what, &format!("{}/{}", mirror.uri, package.filename), &deb)?;
        check_hash(&deb, &package.sha256)?;
        step::capture(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree))?;
        fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
        origin.push_str(&format!("{} {} {}\n", package.name, package.version, package.sha256));
    }
    fs::write(dir.join("origin"), origin)?;
    place(&tree, &dir, &files)?;
    Ok(files)
}

fn index(mirror: &Mirror, kernel: &Kernel, dir: &Path) -> Result<String> {
    let base = format!("{}/dists/{}", mirror.uri, kernel.suite);
    let signed = dir.join("InRelease");
    download(
        &format!("look for a kernel {} in {}", kernel.package, kernel.suite),
        &format!("{base}/InRelease"),
        &signed,
    )?;
    let release = verified(mirror, &signed)?;
    let hash = packages::release_hash(&release, INDEX)
        .with_context(|| format!("the release file of {} names no {INDEX}", kernel.suite))?;
    let packed = dir.join("Packages.xz");
    download(&format!("fetch the package index of {}", kernel.suite), &format!("{base}/{INDEX}"), &packed)?;
    check_hash(&packed, &hash)?;
    let index = step::capture(Command::new("xz").arg("-dc").arg(&packed))?;
    for file in [signed, packed] {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(index)
}

/// The signed text of a release file.
fn verified(mirror: &Mirror, signed: &Path) -> Result<String> {
    if Host::this().which("gpgv").is_none() || !mirror.keyring.is_file() {
        say(AREA, "the archive's signature is NOT checked: gpgv or its keyring is missing here");
        return Ok(step::read_lossy(signed));
    }
    let mut gpgv = Command::new("gpgv");
    gpgv.arg("--quiet").arg("--keyring").arg(&mirror.keyring).args(["--output", "-"]).arg(signed);
    step::capture(&mut gpgv).context("the archive's release file is not signed by the keys that apt trusts")
}

fn download(what: &str, url: &str, to: &Path) -> Result<()> {
    let helper = Path::new("/usr/lib/apt/apt-helper");
    let mut command = if helper.is_file() {
        // Knows the proxies that apt is configured with.
        let mut command = Command::new(helper);
        command.args(["download-file", url]).arg(to);
        command
    } else {
        let mut command = Command::new("curl");
        command.args(["--fail", "--silent", "--show-error", "--location", "--output"]).arg(to).arg(url);
        command
    };
    step::run(AREA, what, "vm-download", &mut command)
}

fn check_hash(file: &Path, expected: &str) -> Result<()> {
    let output = step::capture(Command::new("sha256sum").arg(file))?;
    let found = output.split_whitespace().next().unwrap_or_default();
    if found != expected {
        bail!("{} has SHA-256 {found}, but the archive says {expected}", file.display());
    }
    Ok(())
}

/// Takes what a boot needs out of the unpacked packages.
fn place(tree: &Path, dir: &Path, files: &Files) -> Result<()> {
    let vmlinuz = image_in(tree).with_context(|| {
        format!("{} has neither /boot/vmlinuz-* nor a vmlinuz with the modules", tree.display())
    })?;
    modules::pack(tree, dir, &files.modules)?;
    let image = &files.image;
    fs::rename(&vmlinuz, image).with_context(|| format!("cannot place {}", image.display()))?;
    fs::remove_dir_all(tree).with_context(|| format!("cannot remove {}", tree.display()))
}

/// Debian's newer packages keep the image with its modules.
fn image_in(tree: &Path) -> Option<PathBuf> {
    let entries = |dir: &str| {
        let entries = fs::read_dir(tree.join(dir)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let in_boot = entries("boot").into_iter();
    let with_modules = entries("usr/lib/modules").into_iter().map(|release| release.join("vmlinuz"));
    let is_image = |path: &PathBuf| {
        path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    };
    in_boot.chain(with_modules).find(is_image)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_found_in_both_places() {
        for place in ["boot/vmlinuz-6.12.1", "usr/lib/modules/7.2.12/vmlinuz"] {
            let tree = std::env::temp_dir().join(format!("xtask-kernel-{}", std::process::id()));
            let image = tree.join(place);
            fs::create_dir_all(image.parent().unwrap()).unwrap();
            assert_eq!(image_in(&tree), None);
            fs::write(&image, "").unwrap();
            assert_eq!(image_in(&tree), Some(image));
            fs::remove_dir_all(&tree).unwrap();
        }
    }
}
