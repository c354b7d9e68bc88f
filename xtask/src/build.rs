//! `cargo xtask build`: the BPF programs, then the workspace with them inside.
//!
//! `sentry-kernel/build.rs` looks for the objects in one fixed folder, whoever calls cargo, so a
//! plain `cargo build` afterwards finds nothing to do, and the other way round.

use std::process::ExitCode;

use anyhow::Result;

use crate::{args::Args, bpf, cargo, step};

const AREA: &str = "build";
/// Of two packages: the sensor, and the programs that it is compared with.
const BENCH: &[&str] = &[
    "--package",
    "sentry-cli",
    "--package",
    "sentry-kernel",
    "--package",
    "sentry-collector",
    "--release",
    "--bin",
    "sentry",
    "--bin",
    "sentry-collector",
    "--example",
    "bench",
    "--example",
    "ingest",
];

/// What to build of the workspace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Programs,
    Release,
    /// Only the sensor, optimized, and what it is compared with.
    Bench,
    /// Also the tests, which compiles the dependencies once with the features that both need.
    ProgramsAndTests,
}

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let what = if args.flag("--release") { What::Release } else { What::Programs };
    args.done()?;
    build(what)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds everything.
pub(crate) fn build(what: What) -> Result<()> {
    bpf::build("1 of 2: ")?;
    let mut command = cargo::workspace("build");
    command.args(match what {
        What::Programs => &["--workspace"][..],
        What::Release => &["--workspace", "--release"],
        What::Bench => BENCH,
        What::ProgramsAndTests => &["--workspace", "--bins", "--lib", "--tests"],
    });
    step::run(
        AREA,
        "2 of 2: compile the workspace, with the BPF objects inside the sensor",
        "build",
        &mut command,
    )
}
