//! `cargo xtask setup`: installs what this machine lacks to build the BPF programs and to boot test
//! kernels.
//!
//! [`facts`] looks, [`plan`] decides (pure), this file acts. Nothing is done twice: with everything
//! in place it only looks, in well under half a second. Where it may not install (no root and no
//! password-less sudo, or a distribution whose packages it does not know) it prints the commands
//! and exits 69.

mod facts;
mod plan;

pub(crate) use self::facts::DEPLOY_TOOLS;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{
    args::Args,
    host::Host,
    paths,
    setup::{
        facts::Facts,
        plan::{Plan, Step},
    },
    step::{self, Unavailable, say},
};

const AREA: &str = "setup";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let (check, print) = (args.flag("--check"), args.flag("--print"));
    args.done()?;
    if !check && !print {
        ensure()?;
        say(AREA, "everything is in place");
        return Ok(ExitCode::SUCCESS);
    }
    let plan = plan::plan(&Facts::gather(&Host::this()));
    if plan.missing.is_empty() {
        say(AREA, "everything is in place");
        return Ok(ExitCode::SUCCESS);
    }
    for missing in &plan.missing {
        say(AREA, format_args!("missing: {missing}"));
    }
    if print {
        print_commands(&plan);
    }
    // `--print` answered the question that was asked; `--check` is for scripts, which ask by exit
    // code.
    Ok(if check { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The program that checks spelling: on the search path, or the one that `setup` installs.
pub(crate) fn typos() -> Option<PathBuf> {
    let own = paths::root().join(DEPLOY_TOOLS).join("bin/typos");
    Host::this().which("typos").or_else(|| own.is_file().then_some(own))
}

/// Installs what is missing; returns at once if nothing is.
pub(crate) fn ensure() -> Result<()> {
    let host = Host::this();
    let mut facts = Facts::gather(&host);
    let first = plan::plan(&facts);
    if first.missing.is_empty() {
        return Ok(());
    }
    for missing in &first.missing {
        say(AREA, format_args!("missing: {missing}"));
    }
    let mut plan = first;
    if plan.blocked.is_none() && matches!(plan.steps.first(), Some(Step::RefreshPackageLists { .. })) {
        execute(&plan.steps[0])?;
        // Only now is it known which of the packages this release of the distribution has.
        facts = Facts::gather(&host).after_refresh();
        plan = plan::plan(&facts);
    }
    if let Some(reason) = &plan.blocked {
        print_commands(&plan);
        return Err(Unavailable(format!("{reason}; run the commands above, then this again")).into());
    }
    for step in &plan.steps {
        execute(step)?;
    }
    let left = plan::plan(&Facts::gather(&host)).missing;
    if left.is_empty() {
        return Ok(());
    }
    Err(Unavailable(format!("still missing after the installation: {}", left.join("; "))).into())
}

fn execute(step: &Step) -> Result<()> {
    let line = step.command_line();
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(paths::root());
    step::run(AREA, &format!("{} ({line})", step.purpose()), step.log_name(), &mut command)
}

fn print_commands(plan: &Plan) {
    println!("\nTo install it by hand:\n");
    for step in &plan.steps {
        println!("  {}", step.command_line());
    }
    println!();
}
