//! `cargo xtask run [-- CMD…]`: a sensor out of the working tree, with its socket in `target/dev`
//! and its state in `/tmp`.
//!
//! Without a command the sensor stays in the foreground. With one, it is started, the command runs
//! under it, and the sensor is stopped afterwards; the exit code is the command's.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    args::Args,
    build::{self, What},
    paths,
    sensor::{self, Sensor},
    step::{self, say},
};

const AREA: &str = "run";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let words = args.rest();
    args.done()?;
    build::build(What::Programs)?;
    let sentry = paths::debug_bin("sentry");
    let dir = paths::target().join("dev");
    let mut in_foreground = sensor::command(&sentry, &dir)?;
    if words.is_empty() {
        say(AREA, format_args!("{} (until Ctrl-C)", step::shell_line(&in_foreground)));
        return Err(anyhow!(in_foreground.exec()).context("cannot start the sensor"));
    }
    say(AREA, format_args!("{} &", step::shell_line(&in_foreground)));
    let sensor = Sensor::start(&sentry, &dir)?;
    let mut command = Command::new(&sentry);
    command.arg("run").arg("--socket").arg(sensor::socket(&dir)).arg("--").args(&words);
    say(AREA, step::shell_line(&command));
    let status = command.status().context("cannot start sentry run");
    sensor.stop()?;
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
