//! `cargo xtask lint`: everything that is judged without running the code.
//!
//! All checks run even if an earlier one failed, so that one round shows all there is to mend.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Result, bail};

use crate::{
    args::Args,
    bpf, cargo, paths, setup,
    step::{self, say},
    tidy,
};

const AREA: &str = "lint";

/// A name, and what fails if the check does.
type Check = (&'static str, fn() -> Result<()>);

pub(crate) fn command(args: Args) -> Result<ExitCode> {
    args.done()?;
    let started = Instant::now();
    let checks: [Check; 9] = [
        ("formatting", formatting),
        ("formatting of the BPF crate", bpf_formatting),
        ("clippy", clippy),
        ("clippy on the BPF crate", bpf_clippy),
        ("BPF programs", bpf_warnings),
        ("documentation", documentation),
        ("tidy", tidy::check),
        ("spelling", spelling),
        ("cargo-deny", deny),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Err(error) = check() {
            eprintln!("xtask lint: {name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        say(AREA, format_args!("clean in {}", step::took(started)));
        return Ok(ExitCode::SUCCESS);
    }
    say(AREA, format_args!("FAILED after {}: {}", step::took(started), failed.join(", ")));
    Ok(ExitCode::FAILURE)
}

fn formatting() -> Result<()> {
    let mut command = cargo::workspace("fmt");
    command.args(["--all", "--check"]);
    step::run(AREA, "formatting of the workspace", "lint-fmt", &mut command)
}

fn bpf_formatting() -> Result<()> {
    let mut command = cargo::workspace("fmt");
    command.args(["--check", "--manifest-path"]).arg(paths::root().join("sentry-ebpf/Cargo.toml"));
    step::run(AREA, "formatting of the BPF crate", "lint-fmt-bpf", &mut command)
}

fn clippy() -> Result<()> {
    let mut command = cargo::workspace("clippy");
    command.args(["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    step::run(AREA, "clippy on the workspace, every warning an error", "lint-clippy", &mut command)
}

fn bpf_clippy() -> Result<()> {
    if !bpf::has_clippy() {
        say(AREA, "NOT checked: clippy on the BPF programs (`cargo xtask setup` installs the one for BPF)");
        return Ok(());
    }
    bpf::clippy()
}

/// What the compiler and the linker themselves warn of.
fn bpf_warnings() -> Result<()> {
    if !bpf::available() {
        say(AREA, "NOT checked: the BPF programs (no BPF compiler; `cargo xtask setup` installs one)");
        return Ok(());
    }
    bpf::build("")?;
    let warnings = bpf::warnings()?;
    if !warnings.is_empty() {
        bail!("the BPF programs compile with warnings:\n  {}", warnings.join("\n  "));
    }
    Ok(())
}

fn documentation() -> Result<()> {
    let mut command = cargo::workspace("doc");
    command.args(["--workspace", "--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", "-D warnings");
    step::run(AREA, "links and code in the documentation", "lint-doc", &mut command)
}

/// Every word of the checkout; `_typos.toml` has those that only look mistyped.
fn spelling() -> Result<()> {
    let Some(typos) = setup::typos() else {
        say(AREA, "NOT checked: spelling (no typos; `cargo xtask setup` installs one)");
        return Ok(());
    };
    let mut command = Command::new(typos);
    command.arg("--format=brief").current_dir(paths::root());
    step::run(AREA, "spelling of everything", "lint-typos", &mut command)
}

fn deny() -> Result<()> {
    if !cargo::has("deny") {
        say(
            AREA,
            "NOT checked: licences and advisories (no cargo-deny; `cargo install cargo-deny --locked`)",
        );
        return Ok(());
    }
    let mut command = cargo::workspace("deny");
    command.args(["--workspace", "--all-features", "check"]);
    step::run(AREA, "licences, sources and advisories of the dependencies", "lint-deny", &mut command)
}
