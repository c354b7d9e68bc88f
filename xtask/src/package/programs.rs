//! The programs that go into packages and images.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::contents::{AREA, PACKAGES, base};
use crate::{
    bpf,
    build::{self, What},
    cargo, libraries, paths, step,
};

/// The one target there are packages for.
pub(super) const TARGET: &str = "x86_64-unknown-linux-gnu";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// The debug build, which is there already: for the tests.
    Dev,
    /// As released, for distributions: with the host's C library, which looks up users and groups
    /// as the host wants it.
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
        bpf::build("1 of 2: ")?;
        let mut command = cargo::workspace("build");
        command.args(["--locked", "--profile", "dist", "--bins", "--target", TARGET, "--target-dir"]);
        command.arg(target());
        for package in &PACKAGES {
            command.args(["--package", package.member]);
        }
        if self == Self::Static {
            command.env("RUSTC_WORKSPACE_WRAPPER", paths::root().join("xtask/src/package/static.sh"));
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", cargo::hidden("--remap-path-prefix=").join("\x1f"));
        command.env("CFLAGS", cargo::hidden("-ffile-prefix-map=").join(" "));
        let what = if self == Self::Static { "static programs" } else { "programs" };
        step::run(
            AREA,
            &format!("2 of 2: compile the {what}, about ten minutes the first time"),
            "package-build",
            &mut command,
        )?;
        for program in PACKAGES.map(|package| self.dir().join(package.program)) {
            if (self == Self::Static) != libraries::of(&[&program])?.is_empty() {
                bail!("{} is not linked as it should be", paths::short(&program));
            }
        }
        Ok(())
    }

    /// Where they are. Of the released ones it is those that were built last.
    pub(crate) fn dir(self) -> PathBuf {
        match self {
            Self::Dev => paths::target().join("debug"),
            Self::Dynamic | Self::Static => target().join(TARGET).join("dist"),
        }
    }
}

/// Cargo's target folder of the released ones.
pub(super) fn target() -> PathBuf {
    base().join("build")
}
