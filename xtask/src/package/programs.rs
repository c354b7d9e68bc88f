//! The programs that go into packages and images.

use std::path::PathBuf;

use anyhow::Result;

use super::{AREA, PACKAGES, base};
use crate::{
    bpf,
    build::{self, What},
    cargo, paths, step,
};

/// The one target there are packages for.
pub(super) const TARGET: &str = "x86_64-unknown-linux-gnu";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// The debug build, which is there already: for the tests.
    Dev,
    /// As released, for distributions: with the host's C library, which looks up users and groups as the host wants it.
    Dynamic,
    /// As released, with everything in one file: for any distribution, and for images.
    Static,
}

impl Programs {
    /// Builds them.
    pub(crate) fn build(self) -> Result<()> {
        if self == Self::Dev {
            return build::build(What::ProgramsAndTests);
        }
        bpf::build()?;
        let mut flags = paths::hidden("--remap-path-prefix=");
        if self == Self::Static {
            flags.push("-Ctarget-feature=+crt-static".to_owned());
        }
        let mut command = cargo::workspace("build");
        command.args(["--locked", "--profile", "dist", "--bins", "--target", TARGET, "--target-dir"]);
        command.arg(self.target());
        for package in &PACKAGES {
            command.args(["--package", package.member]);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command.env("CFLAGS", paths::hidden("-ffile-prefix-map=").join(" "));
        let what = if self == Self::Static { "static programs" } else { "programs" };
        step::run(
            AREA,
            &format!("compile the {what}, about ten minutes the first time"),
            "package-build",
            &mut command,
        )
    }

    /// Cargo's target folder of the released ones; two, as what is linked differs in every crate.
    pub(super) fn target(self) -> PathBuf {
        base().join(if self == Self::Static { "build-static" } else { "build" })
    }

    /// Where they are.
    pub(crate) fn dir(self) -> PathBuf {
        match self {
            Self::Dev => paths::target().join("debug"),
            _ => self.target().join(TARGET).join("dist"),
        }
    }
}
