//! The two programs without any library of the system in them but what is linked in: they run in an
//! empty image and on any distribution.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{bpf, cargo, paths, step};

const AREA: &str = "static";
/// Named, so that flags for it do not reach build scripts and procedural macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What is built, and the packages.
pub(crate) const PROGRAMS: [(&str, &str); 2] =
    [("sentry", "sentry-cli"), ("sentry-collector", "sentry-collector")];

/// Builds both with a profile of cargo's and strips them; returns the directory that they are in.
pub(crate) fn static_binaries(profile: &str) -> Result<PathBuf> {
    bpf::build()?;
    let mut command = cargo::workspace("build");
    command.args(["--target", TARGET, "--profile", profile, "--bins"]);
    for (_, package) in PROGRAMS {
        command.args(["--package", package]);
    }
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    step::run(AREA, &format!("compile both programs statically ({profile})"), "static", &mut command)?;
    let built = paths::target().join(TARGET).join(if profile == "dev" { "debug" } else { profile });
    let stripped = built.join("stripped");
    fs::create_dir_all(&stripped).with_context(|| format!("cannot create {}", stripped.display()))?;
    for (name, _) in PROGRAMS {
        strip(&built.join(name), &stripped.join(name))?;
    }
    Ok(stripped)
}

fn strip(from: &Path, to: &Path) -> Result<()> {
    step::capture(Command::new("strip").arg("-o").arg(to).arg(from)).map(drop)
}
