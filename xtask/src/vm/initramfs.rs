//! The file system of the test kernels: busybox, `tests/vm/init`, our programs, the tests, and the
//! libraries they need.
//!
//! One archive serves all kernels; what differs goes over the kernel's command line, or is a
//! module. It is not compressed: the kernel would have to unpack it under emulation, which takes
//! longer than everything saved.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    cargo::{self, Executable},
    host::Host,
    libraries, paths, step,
};

const AREA: &str = "vm";
/// The package of integration tests.
pub(crate) const TESTS: &str = "sentry-tests";
const BIN_DIR: &str = "opt/agentsentry/bin";
const TEST_DIR: &str = "opt/agentsentry/tests";

/// Packs the archive from the last build; with `release`, our programs are those of the last
/// release build (the tests are not).
pub(super) fn pack(release: bool) -> Result<PathBuf> {
    let base = paths::target().join("vm");
    let root = base.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot empty {}", root.display()))?;
    }
    for dir in [BIN_DIR, TEST_DIR, "bin", "dev", "proc", "sys", "tmp", "run", "etc", "root", "var/lib"] {
        fs::create_dir_all(root.join(dir))?;
    }
    let busybox =
        Host::this().which("busybox").context("busybox is missing; `cargo xtask setup` installs it")?;
    place(&busybox, &root.join("bin/busybox"))?;
    place(&paths::root().join("tests/vm/init"), &root.join("init"))?;

    let mut programs = vec![busybox];
    for mut program in executables()? {
        if release && !program.test {
            program.path = paths::target().join("release").join(&program.name);
        }
        let dir = if program.test { TEST_DIR } else { BIN_DIR };
        place_stripped(&program.path, &root.join(dir).join(&program.name))?;
        programs.push(program.path);
    }
    let programs: Vec<&Path> = programs.iter().map(PathBuf::as_path).collect();
    for library in libraries::of(&programs)? {
        let to = root.join(library.strip_prefix("/").unwrap_or(&library));
        place(&library, &to)?;
    }
    archive(&root, &base.join("initrd.cpio"))
}

/// Our programs, and the tests with their workload programs once there is such a package.
fn executables() -> Result<Vec<Executable>> {
    let mut found = Vec::new();
    for name in ["sentry", "sentry-collector"] {
        let path = paths::debug_bin(name);
        if path.is_file() {
            found.push(Executable { name: name.to_owned(), kind: "bin".to_owned(), test: false, path });
        }
    }
    if !cargo::members()?.iter().any(|member| member == TESTS) {
        return Ok(found);
    }
    // The same selection as every other build of the tests, so that nothing is compiled with other
    // features.
    let mut command = cargo::workspace("test");
    command.args(["--workspace", "--no-run", "--message-format=json"]);
    let messages = cargo::build_messages(AREA, "collect the test programs", "vm-tests", &mut command)?;
    found.extend(of_package(&messages, TESTS));
    Ok(found)
}

/// Integration tests and plain programs of the package. The unit tests of its programs run on the
/// host.
fn of_package(messages: &str, package: &str) -> Vec<Executable> {
    let manifest = paths::root().join("tests").join("Cargo.toml");
    let manifest = manifest.to_string_lossy();
    let of_it: Vec<&str> = messages
        .lines()
        .filter(|line| line.contains(manifest.as_ref()) || line.contains(&format!("#{package}@")))
        .collect();
    let mut programs = cargo::executables(&of_it.join("\n"));
    programs.retain(|program| program.test == (program.kind == "test"));
    programs
}

fn place(from: &Path, to: &Path) -> Result<()> {
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    // An unprivileged user of the guest has to be able to run it, whatever the mask of whoever
    // built it.
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", to.display()))
}

/// Without debug information, which is most of a test program's size.
fn place_stripped(from: &Path, to: &Path) -> Result<()> {
    let stripped = Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(from).output();
    if stripped.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    place(from, to)
}

pub(super) fn archive(root: &Path, to: &Path) -> Result<PathBuf> {
    let line = format!(
        "find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --owner=0:0 \
        --quiet > {}",
        step::shell_line(&Command::new(to))
    );
    step::capture(Command::new("sh").args(["-c", &line]).current_dir(root))?;
    Ok(to.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_tests_and_programs_of_the_package_only() {
        let line = |package: &str, kind: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///x#{package}@0.1.0","target":{{"kind":["{kind}"],"name":"n-{kind}-{test}"}},"profile":{{"test":{test}}},"executable":"/t/x"}}"#
            )
        };
        let messages = [
            line("sentry-agent", "test", true),
            line(TESTS, "test", true),
            line(TESTS, "bin", false),
            line(TESTS, "bin", true),
        ];
        let names: Vec<String> =
            of_package(&messages.join("\n"), TESTS).into_iter().map(|program| program.name).collect();
        assert_eq!(names, ["n-test-true", "n-bin-false"]);
    }
}
