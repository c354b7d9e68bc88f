//! `cargo xtask fuzz [--executions N] [TARGET…]`: everything that reads foreign bytes, or some of
//! it, fed with mutated good inputs, N times each. Works with the ordinary compiler; `fuzz/` has
//! the same targets for cargo-fuzz.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::{
    args::Args,
    cargo,
    step::{self, say},
};

const AREA: &str = "fuzz";
/// Of each target, if nothing else is asked for: seconds.
const EXECUTIONS: u64 = 1_000_000;

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let chosen = args.flag("--executions");
    let mut targets = args.words();
    args.done()?;
    let executions = if chosen {
        if targets.is_empty() {
            bail!("--executions takes a number");
        }
        targets.remove(0).replace('_', "").parse().context("--executions takes a number")?
    } else {
        EXECUTIONS
    };
    let mut command = cargo::workspace("test");
    command.args(["--release", "-p", "sentry-agent", "--test", "fuzz", "--", "--nocapture"]);
    command.env("AGENTSENTRY_FUZZ", executions.to_string());
    command.env("AGENTSENTRY_FUZZ_TARGETS", targets.join(","));
    let which = if targets.is_empty() { "each target".to_owned() } else { targets.join(" and ") };
    let what = format!("{executions} executions of {which}, in a release build");
    let (status, log) = step::attempt(AREA, &what, "fuzz", &mut command)?;
    let output = step::read_lossy(&log);
    output
        .lines()
        .filter_map(|line| line.find("fuzz: ").map(|at| &line[at + 6..]))
        .for_each(|line| say(AREA, line));
    if !status.success() {
        step::print_tail(&log, 30);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
