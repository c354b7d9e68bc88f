//! `cargo xtask run [-- CMD…]`: a sensor out of the working tree, with its state in `target/dev`.
//!
//! Without a command the sensor stays in the foreground. With one, it is started, the command runs under it, and the
//! sensor is stopped afterwards; the exit code is the command's.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{
    args::Args,
    build::{self, What},
    host, paths, step,
    step::say,
};

const AREA: &str = "run";
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let words = args.rest();
    args.done()?;
    build::build(What::Programs)?;
    let dir = paths::target().join("dev");
    if words.is_empty() {
        let mut sensor = sensor_command(&dir)?;
        say(AREA, format_args!("{} (until Ctrl-C)", step::shell_line(&sensor)));
        return Err(anyhow!(sensor.exec()).context("cannot start the sensor"));
    }
    let mut sensor = Sensor::start(&dir)?;
    let mut command = Command::new(paths::debug_bin("sentry"));
    command.arg("run").arg("--socket").arg(socket(&dir)).arg("--").args(&words);
    say(AREA, step::shell_line(&command));
    let status = command.status().context("cannot start sentry run");
    sensor.stop()?;
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("sensor.sock")
}

fn sensor_command(dir: &Path) -> Result<Command> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut command = host::as_root(&paths::debug_bin("sentry"));
    command.arg("sensor").arg("--state-dir").arg(dir).arg("--socket").arg(socket(dir));
    Ok(command)
}

/// A sensor that was started here and has to be stopped here.
struct Sensor {
    child: Child,
    log: PathBuf,
}

impl Sensor {
    /// Starts it and waits until it answers.
    fn start(dir: &Path) -> Result<Self> {
        let mut command = sensor_command(dir)?;
        say(AREA, format_args!("{} &", step::shell_line(&command)));
        let log = step::log_path("run-sensor")?;
        let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut sensor = Self { child: command.spawn().context("cannot start the sensor")?, log };
        let ready = sensor.wait_ready(dir);
        if ready.is_err() {
            step::print_tail(&sensor.log, 40);
            sensor.stop()?;
        }
        ready.map(|()| sensor)
    }

    fn wait_ready(&mut self, dir: &Path) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the sensor ended with {status}; its output is in {}", paths::short(&self.log));
            }
            let mut health = Command::new(paths::debug_bin("sentry"));
            health.arg("health").arg("--socket").arg(socket(dir));
            match step::capture(&mut health) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("the sensor runs but does not say that it is healthy"));
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// Asks it to end, and makes it end if it does not.
    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // Through kill(1): the sensor may belong to root while we do not, and sudo passes the signal on.
        let mut kill = host::as_root(Path::new("/bin/kill"));
        step::capture(kill.args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + STOP_WITHIN;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill().context("cannot kill the sensor")?;
                self.child.wait()?;
                bail!("the sensor did not end within {} s of SIGTERM and was killed", STOP_WITHIN.as_secs());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}
