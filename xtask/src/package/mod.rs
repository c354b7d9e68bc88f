//! `cargo xtask package`: what operators install. [`stage`] lays out the files of each package
//! once, as they will be on the host; the makers only wrap what is there.
//!
//! The same commit gives the same bytes: times are those of the commit, and paths of this machine
//! are not in the programs.

mod changelog;
mod contents;
mod deb;
mod files;
mod licences;
mod manifest;
mod programs;
mod rpm;
mod sbom;
mod stage;
mod tarball;
mod time;
mod tool;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::{contents::PACKAGES, files::empty, programs::Programs, stage::strip};
use self::{
    contents::{AREA, base},
    manifest::version,
    time::Time,
};

use crate::{
    args::{Args, Usage},
    paths, setup,
    step::{self, say},
};

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
    files.push(tarball::make(Programs::Dev, &version(&PACKAGES[0])?, &time, &out)?);
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
    let version = version(&PACKAGES[0])?;
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
