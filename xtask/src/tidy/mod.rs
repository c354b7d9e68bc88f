//! `cargo xtask tidy`: the rules of this project that no compiler checks.
//!
//! [`text`], [`columns`] and [`phrases`] judge files by their lines, [`modules`] by the files they
//! use, [`arrows`] judges packages by their dependencies. An exception is a line in
//! `xtask/tidy.toml` with its reason; one that nothing needs any more is itself an error.

mod arrows;
mod columns;
mod exceptions;
mod finding;
mod licences;
mod modules;
mod names;
mod phrases;
mod source;
mod text;

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use toml::Table;

use crate::{
    args::Args,
    cargo, paths,
    step::{self, say},
    tidy::{exceptions::Exceptions, finding::Finding},
};

const AREA: &str = "tidy";

pub(crate) fn command(args: Args) -> Result<ExitCode> {
    args.done()?;
    check()?;
    Ok(ExitCode::SUCCESS)
}

/// Checks everything; the error names each broken rule.
pub(crate) fn check() -> Result<()> {
    let root = paths::root();
    let files = tracked_files()?;
    let mut findings = Vec::new();
    let mut long = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let source = fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        findings.extend(text::check(file, &source));
        if text::is_over_goal(file, &source) {
            long.push(file.as_str());
        }
        findings.extend(columns::check(file, &source));
    }
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        let page = fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        findings.extend(columns::check(file, &page));
    }
    for file in files.iter().filter(|file| phrases::is_read(file)) {
        let bytes = fs::read(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        // What is not text has no phrases.
        if let Ok(source) = String::from_utf8(bytes) {
            findings.extend(phrases::check(file, &source));
        }
    }
    for file in files.iter().filter(|file| file.ends_with("/src/lib.rs") || *file == "xtask/src/main.rs") {
        findings.extend(modules::check(&root, file)?);
    }
    let metadata = cargo::metadata()?;
    findings.extend(arrows::check(&metadata));
    findings.extend(licences::check(&metadata, &files));
    for file in files.iter().filter(|file| file.ends_with("/Cargo.toml")) {
        let manifest = fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        findings.extend(inherits_lints(file, &manifest)?);
    }
    let exceptions = Exceptions::read(&root.join("xtask/tidy.toml"))?;
    let left = exceptions.apply(findings);
    if !long.is_empty() {
        say(AREA, format_args!("over the goal of {} lines: {}", text::GOAL_LINES, long.join(", ")));
    }
    if left.is_empty() {
        say(AREA, format_args!("{} files and the dependency graph are as they should be", files.len()));
        return Ok(());
    }
    for finding in &left {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        eprintln!("{}{line}: {} [{}]", finding.place, finding.what, finding.rule);
    }
    bail!("{} rules broken; an exception is a line with a reason in xtask/tidy.toml", left.len())
}

/// Everything git has or would have.
fn tracked_files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(paths::root());
    let listed = step::capture(&mut git)?;
    // A file that was removed but not yet committed is still listed.
    Ok(listed.lines().filter(|file| paths::root().join(file).is_file()).map(str::to_owned).collect())
}

fn inherits_lints(file: &str, manifest: &str) -> Result<Option<Finding>> {
    let table: Table = manifest.parse().with_context(|| format!("{file} is not TOML"))?;
    // The BPF crate stands outside of the workspace and cannot inherit.
    let exempt = file == "sentry-ebpf/Cargo.toml" || !table.contains_key("package");
    let inherits = table.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    Ok((!exempt && inherits != Some(true)).then(|| Finding {
        rule: "lints",
        place: file.to_owned(),
        line: None,
        what: "needs `[lints] workspace = true`".to_owned(),
    }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_to_inherit_the_lints() {
        let bare = "[package]\nname = \"x\"\n";
        assert!(inherits_lints("x/Cargo.toml", bare).unwrap().is_some());
        assert!(
            inherits_lints("x/Cargo.toml", &format!("{bare}[lints]\nworkspace = true\n")).unwrap().is_none()
        );
        assert!(inherits_lints("sentry-ebpf/Cargo.toml", bare).unwrap().is_none());
    }
}
