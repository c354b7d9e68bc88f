//! `cargo xtask vm-systemd`: the tests of the Debian packages, `tests/it/packages.rs`, in emulated
//! Debian machines with a kernel and a systemd of their own and BPF among the security modules.
//!
//! The root of a machine, made by mmdebstrap and about 200 MB, and its kernel are kept in
//! `target/vm-systemd/<suite>`; delete the folder to get newer ones. `tests/src/guest.rs` boots
//! them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use crate::{
    args::{Args, Usage},
    build::{self, What},
    cargo,
    host::{self, Host},
    package, paths, setup,
    step::{self, Unavailable, say},
    tally::Tally,
    test,
    vm::{kernel, matrix::Matrix, mirror},
};

const AREA: &str = "vm-systemd";

/// Suites of Debian, and the kernel of the matrix that is theirs.
const SUITES: [(&str, &str); 2] = [("bookworm", "debian-6.1"), ("trixie", "debian-6.12")];

/// What the tests' scripts need beside systemd.
const INCLUDE: &str = "--include=systemd-sysv,dbus,procps,curl";

/// Arguments: mirror, keyring, suite, and the file to make. `/dev` is the kernel's to fill.
const MAKE_ROOT: &str = r#"
set -e
root=$(mktemp --directory)
trap 'rm -rf "$root"' EXIT
mmdebstrap --quiet --variant=minbase "$5" --keyring="$2" "$3" "$root/root" "$1"
cd "$root/root"
find . -mindepth 1 -path ./dev -prune -o -print0 | LC_ALL=C sort --zero-terminated |
    cpio --null --create --format=newc --quiet >"$4.draft"
chmod 644 "$4.draft"
mv "$4.draft" "$4"
"#;

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let names = args.words();
    let filter = args.rest();
    args.done()?;
    if let Some(unknown) = names.iter().find(|name| SUITES.iter().all(|(suite, _)| suite != name)) {
        return Err(Usage(unknown.clone()).into());
    }
    setup::ensure()?;
    build::build(What::ProgramsAndTests)?;
    package::dev()?;
    let mut sum = Tally::default();
    for (suite, kernel) in SUITES {
        if names.is_empty() || names.iter().any(|name| name == suite) {
            sum += &tests_in(suite, &guest(suite, kernel)?, &filter)?;
        }
    }
    sum.failures.iter().for_each(|failure| println!("failed: {failure}"));
    println!("{sum}");
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folder with kernel and root.
fn guest(suite: &str, kernel: &str) -> Result<PathBuf> {
    let dir = paths::target().join("vm-systemd").join(suite);
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let image = dir.join("vmlinuz");
    if !image.is_file() {
        let kernels = Matrix::read()?.select(&[kernel.to_owned()])?;
        for kernel in &kernels {
            let from = kernel::fetch(kernel)?.image;
            fs::copy(&from, &image).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    let root = dir.join("root.cpio");
    if !root.is_file() {
        if Host::this().which("mmdebstrap").is_none() {
            let what = "there is no mmdebstrap, which makes the machines; on Debian: \
                        apt-get install mmdebstrap";
            return Err(Unavailable(what.to_owned()).into());
        }
        let mirror = mirror::find()?;
        let mut make = host::as_root(Path::new("/bin/sh"));
        make.args(["-c", MAKE_ROOT, "sh", &mirror.uri]).arg(&mirror.keyring).arg(suite).arg(&root);
        make.arg(INCLUDE);
        step::run(AREA, &format!("make a root of {suite}"), &format!("vm-systemd-root-{suite}"), &mut make)?;
    }
    Ok(dir)
}

fn tests_in(suite: &str, guest: &Path, filter: &[String]) -> Result<Tally> {
    let mut command = cargo::workspace("test");
    // The whole workspace, so that dependencies are not compiled with other features.
    command.args(["--workspace", "--test", "it", "--", "--test-threads=1", "--skip=lintian"]);
    if filter.is_empty() {
        command.arg("packages::");
    }
    command.args(filter);
    if !Host::this().is_root() {
        command.env(format!("CARGO_TARGET_{}_RUNNER", test::host_triple()), "sudo -n -E");
    }
    command.env("AGENTSENTRY_GUEST", guest).env("AGENTSENTRY_BIN_DIR", paths::target().join("debug"));
    command.env("AGENTSENTRY_PROMISED", "root,systemd-nspawn,debian-packages");
    let log = format!("vm-systemd-{suite}");
    let (status, log) = step::attempt(AREA, &format!("the packages in {suite}"), &log, &mut command)?;
    let mut tally = Tally::from_libtest(&step::read_lossy(&log));
    tally.failures = tally.failures.iter().map(|name| format!("{suite}: {name}")).collect();
    if !status.success() {
        step::print_tail(&log, 60);
    }
    if tally.is_empty() || (!status.success() && tally.failed == 0) {
        tally += &Tally::broken(format!("{suite}: {status}; see {}", paths::short(&log)));
    }
    say(AREA, format_args!("{suite}: {tally}"));
    Ok(tally)
}
