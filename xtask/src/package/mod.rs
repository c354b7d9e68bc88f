//! `cargo xtask package`: what operators install. [`stage`] lays out the files of each package
//! once, as they will be on the host; the makers only wrap what is there.
//!
//! The same commit gives the same bytes: times are those of the commit, and paths of this machine
//! are not in the programs.

mod changelog;
mod deb;
mod licences;
mod programs;
mod rpm;
mod sbom;
mod stage;
mod tarball;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::{
    programs::Programs,
    stage::{empty, strip},
};

use crate::{
    args::{Args, Usage},
    cargo,
    host::Host,
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
    pub(crate) program: &'static str,
    /// What it keeps; its file `format` is what a downgrade is refused by.
    state: &'static str,
    /// Files of the checkout, and the directory that they are installed to.
    files: &'static [(&'static str, &'static str)],
}

pub(crate) const PACKAGES: [Package; 2] = [
    Package {
        name: "agentsentry",
        member: "sentry-cli",
        program: "sentry",
        state: "/var/lib/agentsentry",
        files: &[
            ("deploy/systemd/agentsentry.service", "usr/lib/systemd/system"),
            ("deploy/systemd/sysusers.d/agentsentry.conf", "usr/lib/sysusers.d"),
            ("deploy/systemd/tmpfiles.d/agentsentry.conf", "usr/lib/tmpfiles.d"),
            ("deploy/systemd/config.yaml", "etc/agentsentry"),
            ("deploy/systemd/backoff.conf", "usr/share/doc/agentsentry/examples"),
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
            ("deploy/systemd/backoff.conf", "usr/share/doc/agentsentry-collector/examples"),
        ],
    },
];

/// Kinds of packages that can be asked for; all of them if none is.
const KINDS: [&str; 4] = ["deb", "rpm", "tarball", "sbom"];

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let (for_tests, check) = (args.flag("--dev"), args.flag("--check"));
    let mut kinds = args.words();
    args.done()?;
    if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Usage(unknown.clone()).into());
    }
    if kinds.is_empty() {
        kinds = KINDS.map(str::to_owned).to_vec();
    }
    setup::ensure()?;
    if for_tests {
        Programs::Dev.build()?;
        return shown(&dev()?);
    }
    let files = release(&kinds)?;
    let out = base().join("dist");
    let first = sums(&files, &out)?;
    if check {
        empty(&programs::target())?;
        let second = sums(&release(&kinds)?, &out)?;
        if first != second {
            bail!("the same commit gave other bytes the second time:\n{first}then:\n{second}");
        }
        say(AREA, "the second time everything was compiled and packed to the same bytes");
    }
    shown(&files)
}

fn shown(files: &[PathBuf]) -> Result<ExitCode> {
    for file in files {
        say(AREA, paths::short(file));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the tests install, of the debug programs, which are built.
pub(crate) fn dev() -> Result<Vec<PathBuf>> {
    let (time, out) = (Time::of_commit()?, base().join("dev"));
    empty(&out)?;
    fs::create_dir_all(&out)?;
    let mut files = debian(Programs::Dev, &time, &out)?;
    files.push(tarball::make(Programs::Dev, &stage::version(&PACKAGES[0])?, &time, &out)?);
    sums(&files, &out)?;
    Ok(files)
}

fn debian(programs: Programs, time: &Time, out: &Path) -> Result<Vec<PathBuf>> {
    let pack = |package| {
        stage::stage(package, programs, time)?;
        deb::make(package, programs, time, out)
    };
    PACKAGES.iter().map(pack).collect()
}

/// Builds and packs what is asked for.
fn release(kinds: &[String]) -> Result<Vec<PathBuf>> {
    let wants = |kind: &str| kinds.iter().any(|wanted| wanted == kind);
    let (time, out) = (Time::of_commit()?, base().join("dist"));
    empty(&out)?;
    fs::create_dir_all(&out)?;
    let version = stage::version(&PACKAGES[0])?;
    let mut files = Vec::new();
    if wants("deb") || wants("rpm") {
        Programs::Dynamic.build()?;
    }
    if wants("deb") {
        files.extend(debian(Programs::Dynamic, &time, &out)?);
    }
    for package in PACKAGES.iter().filter(|_package| wants("rpm")) {
        stage::stage(package, Programs::Dynamic, &time)?;
        files.push(rpm::make(package, &version, &time, &out)?);
    }
    if wants("tarball") {
        Programs::Static.build()?;
        for package in &PACKAGES {
            stage::stage(package, Programs::Static, &time)?;
        }
        files.push(tarball::make(Programs::Static, &version, &time, &out)?);
    }
    if wants("sbom") {
        files.extend(sbom::make(&version, &time, &out)?);
    }
    Ok(files)
}

/// Writes the checksums of the files beside them, as `sha256sum --check` reads them; returns them,
/// too.
fn sums(files: &[PathBuf], out: &Path) -> Result<String> {
    let names = files.iter().filter_map(|file| file.file_name());
    let text = step::capture(Command::new("sha256sum").args(names).current_dir(out))?;
    let sums = out.join("SHA256SUMS");
    fs::write(&sums, &text).with_context(|| format!("cannot write {}", sums.display()))?;
    Ok(text)
}

/// A program of cargo's that is installed when it is needed for the first time.
fn tool(name: &str, version: &str) -> Result<()> {
    let installed = Host::this().which(name).is_some();
    if installed {
        return Ok(());
    }
    let mut command = cargo::workspace("install");
    command.args([name, "--version", version, "--locked"]);
    step::run(AREA, &format!("compile {name}, some minutes"), &format!("package-{name}"), &mut command)
}

/// In the checkout's own target folder, whatever cargo's is: manifests name the place.
fn base() -> PathBuf {
    paths::root().join("target/package")
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
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
