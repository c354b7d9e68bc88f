//! `cargo xtask package`: what operators install. [`stage`] lays out the files of each package once, as they will be on
//! the host; the makers only wrap what is there.
//!
//! The same commit gives the same bytes: times are those of the commit, and paths of this machine are not in the
//! programs.

mod changelog;
mod deb;
mod stage;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{
    args::Args,
    build::{self, What},
    paths, setup,
    step::{self, say},
};

const AREA: &str = "package";

/// A package: a program and what belongs to it.
pub(crate) struct Package {
    /// As package managers, systemd and the directories know it.
    pub(crate) name: &'static str,
    /// The crate with the program, whose manifest describes the package.
    member: &'static str,
    program: &'static str,
    /// What it keeps; its file `format` is what a downgrade is refused by.
    state: &'static str,
    /// Files of the checkout, and the directory that they are installed to.
    files: &'static [(&'static str, &'static str)],
}

const PACKAGES: [Package; 2] = [
    Package {
        name: "agentsentry",
        member: "sentry-agent",
        program: "sentry",
        state: "/var/lib/agentsentry",
        files: &[
            ("deploy/systemd/agentsentry.service", "usr/lib/systemd/system"),
            ("deploy/systemd/sysusers.d/agentsentry.conf", "usr/lib/sysusers.d"),
            ("deploy/systemd/tmpfiles.d/agentsentry.conf", "usr/lib/tmpfiles.d"),
            ("deploy/systemd/config.yaml", "etc/agentsentry"),
        ],
    },
    Package {
        name: "agentsentry-collector",
        member: "sentry-collector",
        program: "sentry-collector",
        state: "/var/lib/private/agentsentry-collector",
        files: &[
            ("deploy/systemd/agentsentry-collector.service", "usr/lib/systemd/system"),
            ("deploy/systemd/sysusers.d/agentsentry-collector.conf", "usr/lib/sysusers.d"),
            ("deploy/systemd/collector.yaml", "etc/agentsentry"),
        ],
    },
];

/// Which programs go into the packages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// Those that are released.
    Dist,
    /// The debug build, stripped and lightly compressed: for the tests.
    Dev,
}

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let programs = if args.flag("--dev") { Programs::Dev } else { Programs::Dist };
    args.done()?;
    setup::ensure()?;
    build::build(if programs == Programs::Dev { What::ProgramsAndTests } else { What::Dist })?;
    for package in debian(programs)? {
        say(AREA, paths::short(&package));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the Debian packages of programs that are built.
pub(crate) fn debian(programs: Programs) -> Result<Vec<PathBuf>> {
    let time = Time::of_commit()?;
    let out = out(programs);
    std::fs::create_dir_all(&out)?;
    PACKAGES
        .iter()
        .map(|package| {
            stage::stage(package, programs, &time)?;
            deb::make(package, programs, &time, &out)
        })
        .collect()
}

/// Where packages are put.
pub(crate) fn out(programs: Programs) -> PathBuf {
    base().join(if programs == Programs::Dev { "dev" } else { "dist" })
}

/// In the checkout's own target folder, whatever cargo's is: manifests name the place.
fn base() -> PathBuf {
    paths::root().join("target/package")
}

impl Programs {
    fn dir(self) -> PathBuf {
        paths::target().join(if self == Self::Dev { "debug" } else { "dist" })
    }
}

impl Package {
    /// Where its files are laid out.
    fn stage(&self) -> PathBuf {
        base().join(self.name)
    }
}

/// The time that everything in a package has: that of the commit, or what `SOURCE_DATE_EPOCH` says.
struct Time {
    /// Unix seconds.
    seconds: String,
    /// As in a mail.
    mail: String,
}

impl Time {
    fn of_commit() -> Result<Self> {
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds,
            Err(_unset) => {
                let mut log = Command::new("git");
                log.args(["log", "-1", "--format=%ct"]).current_dir(paths::root());
                step::capture(&mut log)?.trim().to_owned()
            }
        };
        let mut date = Command::new("date");
        date.args(["--utc", "--rfc-email"]).arg(format!("--date=@{seconds}")).env("LC_ALL", "C");
        let mail = step::capture(&mut date)?.trim().to_owned();
        Ok(Self { seconds, mail })
    }
}

fn read(path: &Path) -> Result<String> {
    use anyhow::Context as _;
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
