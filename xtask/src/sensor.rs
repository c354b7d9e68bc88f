//! A sensor out of the working tree that a command starts, waits for, and stops again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{host, paths, step};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// The control socket of the sensor whose state is in `dir`.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("sensor.sock")
}

/// Where the sensor of `dir` keeps its state. Not below the working tree: that may belong to an
/// ordinary user, who could change what is kept there, and a sensor that is root's refuses such a
/// place.
pub(crate) fn state_dir(dir: &Path) -> PathBuf {
    let name = dir.display().to_string().replace('/', "-");
    std::env::temp_dir().join(format!("agentsentry-xtask{name}"))
}

/// The command line of a sensor with its socket in `dir`, as root.
pub(crate) fn command(sentry: &Path, dir: &Path) -> Result<Command> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut command = host::as_root(sentry);
    command.arg("sensor").arg("--state-dir").arg(state_dir(dir)).arg("--socket").arg(socket(dir));
    Ok(command)
}

/// A running sensor; stopped at the latest when this goes out of scope.
pub(crate) struct Sensor {
    child: Child,
    log: PathBuf,
}

impl Sensor {
    /// Starts it and waits until it answers that it is healthy.
    pub(crate) fn start(sentry: &Path, dir: &Path) -> Result<Self> {
        let log = step::log_path("sensor")?;
        let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = command(sentry, dir)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut sensor = Self { child: command.spawn().context("cannot start the sensor")?, log };
        let mut health = Command::new(sentry);
        health.arg("health").arg("--socket").arg(socket(dir));
        let ready = sensor.wait_until("the sensor does not say that it is healthy", || {
            step::capture(&mut health).map(drop)
        });
        if ready.is_err() {
            step::print_tail(&sensor.log, 40);
        }
        ready.map(|()| sensor)
    }

    /// Tries until it works, the time is up, or the sensor is gone.
    pub(crate) fn wait_until(
        &mut self,
        complaint: &str,
        mut attempt: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the sensor ended with {status}; its output is in {}", paths::short(&self.log));
            }
            match attempt() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error.context(complaint.to_owned())),
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// Processor time of all its threads so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        /// Of the numbers in procfs, on every Linux.
        const TICKS_PER_SECOND: f64 = 100.0;
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // Behind the name, which may hold anything: state is field 3, utime 14, stime 15.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<f64>().ok());
        let (user, system) = ticks(14).zip(ticks(15)).with_context(|| format!("{path} is cut"))?;
        Ok((user + system) / TICKS_PER_SECOND)
    }

    /// What of its memory is in the machine's.
    pub(crate) fn resident_kib(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        number.with_context(|| format!("{path} has no VmRSS"))
    }

    /// Asks it to end, and makes it end if it does not.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // Through kill(1): the sensor may belong to root while we do not, and sudo passes the
        // signal on.
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

impl Drop for Sensor {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("xtask: {error:#}");
        }
    }
}
