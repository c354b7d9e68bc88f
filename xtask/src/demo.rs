//! `cargo xtask demo`: from a bare checkout to a stopped runaway in one command.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Result, anyhow};

use crate::{
    args::Args,
    build::{self, What},
    paths, setup, step,
};

pub(crate) fn command(args: Args) -> Result<ExitCode> {
    args.done()?;
    setup::ensure()?;
    build::build(What::Programs)?;
    let sentry = paths::debug_bin("sentry");
    let mut demo = crate::host::as_root(&sentry);
    demo.arg("demo");
    step::say("demo", step::shell_line(&demo));
    let error = Command::exec(&mut demo);
    Err(anyhow!(error).context(format!("cannot start {}", sentry.display())))
}
