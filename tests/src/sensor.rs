//! A sensor of one test: the real process, with places of its own.
//!
//! On an emulated machine, where most of a test's time would go into the start of its sensor (the
//! kernel verifies every program), one with defaults is handed from test to test, as long as none
//! fails.

use std::{
    fs::{self, File},
    io,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    sync::atomic::AtomicU32,
};

use nix::{libc, sys::signal::Signal};
use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    cgroup,
    openmetrics::{Form, Metrics},
    procs,
    programs::{self, Gathered},
    scratch::Scratch,
    wait,
};

/// How a sensor is started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    group: Option<String>,
    collector: Option<String>,
    config: String,
    state_dir: Option<PathBuf>,
    lacks: Option<libc::c_ulong>,
    contained: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

/// A running sensor; killed, with all its runs, when the value goes.
pub struct Sensor {
    setup: Setup,
    /// Handed on to the next test, where that is done and it may be.
    daemon: Option<Daemon>,
    handed_on: bool,
    scratch: Scratch,
    /// Carried by everything that was started through this value.
    mark: String,
    /// Names of its own in one test: reports, ready files.
    next: AtomicU32,
}

/// The process and its own files; they go together.
struct Daemon {
    child: Child,
    home: Scratch,
    state: PathBuf,
}

/// The sensor with defaults that the next test gets.
static RESTING: Mutex<Option<Daemon>> = Mutex::new(None);

fn take_resting() -> Option<Daemon> {
    RESTING.lock().take()
}

impl Setup {
    /// Members of this group may use the socket.
    #[must_use]
    pub fn group(mut self, name: &str) -> Self {
        self.group = Some(name.to_owned());
        self
    }

    #[must_use]
    pub fn collector(mut self, endpoint: &str) -> Self {
        self.collector = Some(endpoint.to_owned());
        self
    }

    /// Lines of configuration, without the version.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config = lines.to_owned();
        self
    }

    #[must_use]
    pub fn state_dir(mut self, path: &Path) -> Self {
        self.state_dir = Some(path.to_owned());
        self
    }

    /// In its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// It has all capabilities but this one, of `<linux/capability.h>`.
    #[must_use]
    pub fn without_capability(mut self, number: libc::c_ulong) -> Self {
        self.lacks = Some(number);
        self
    }

    /// It lives in this group and in a cgroup namespace of its own, as in a container.
    #[must_use]
    pub fn contained_in(mut self, group: &cgroup::TestCgroup) -> Self {
        self.contained = Some(group.path().join("cgroup.procs"));
        self
    }

    /// Starts it and waits until it answers. It is the only one.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(self) -> Sensor {
        drop(take_resting());
        let home = Scratch::new();
        let child = self.command(&home).spawn().unwrap();
        let state = self.state_dir.clone().unwrap_or_else(|| home.join("state"));
        let mut sensor = Sensor::of(self, Daemon { child, home, state });
        sensor.wait_until_it_answers();
        sensor
    }

    /// The command line; its log goes to a file in `scratch`.
    ///
    /// # Panics
    /// When the scratch directory cannot be written.
    #[must_use]
    pub fn command(&self, scratch: &Scratch) -> Command {
        let config = scratch.join("sensor.yaml");
        fs::write(&config, format!("version: 1\n{}\n", self.config)).unwrap();
        let log = File::options().create(true).append(true).open(scratch.join("sensor.log")).unwrap();
        let state = self.state_dir.clone().unwrap_or_else(|| scratch.join("state"));
        let mut command = programs::command("sentry");
        command.arg("sensor").arg("--config").arg(config).arg("--state-dir").arg(state);
        command.arg("--socket").arg(scratch.join("s.sock"));
        command.args(["--group", self.group.as_deref().unwrap_or("")]);
        command.args(["--collector", self.collector.as_deref().unwrap_or("disabled")]);
        command
            .env("RUST_LOG", "info,h2=warn")
            .env("NO_COLOR", "1")
            .envs(self.variables.clone())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if let Some(number) = self.lacks {
            // SAFETY: one system call, which allocates nothing, between fork and exec.
            unsafe {
                command.pre_exec(move || {
                    nix::errno::Errno::result(libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0))?;
                    Ok(())
                });
            }
        }
        if let Some(procs) = &self.contained {
            let mut procs = File::options().write(true).open(procs).unwrap();
            // SAFETY: two system calls, which allocate nothing, between fork and exec.
            unsafe {
                command.pre_exec(move || {
                    io::Write::write_all(&mut procs, b"0")?;
                    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP)?)
                });
            }
        }
        command
    }
}

impl Sensor {
    /// With defaults: root alone may use the socket, no collector. A test that harms it takes one
    /// of its own, from [`Setup::start`].
    #[must_use]
    pub fn start() -> Self {
        let mut sensor = match take_resting() {
            Some(daemon) => Self::of(Setup::default(), daemon),
            None => Setup::default().start(),
        };
        sensor.handed_on = wait::slow();
        sensor
    }

    fn of(setup: Setup, daemon: Daemon) -> Self {
        Self {
            setup,
            daemon: Some(daemon),
            handed_on: false,
            scratch: Scratch::new(),
            mark: procs::new_mark(),
            next: AtomicU32::new(0),
        }
    }

    #[expect(clippy::expect_used, reason = "it is taken only when the value goes")]
    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the sensor is still the test's")
    }

    #[expect(clippy::expect_used, reason = "it is taken only when the value goes")]
    fn child(&mut self) -> &mut Child {
        &mut self.daemon.as_mut().expect("the sensor is still the test's").child
    }

    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.daemon().home.join("s.sock")
    }

    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.daemon().state.clone()
    }

    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon().child.id()
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// When there is no log.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon().log().unwrap()
    }

    /// Writes other lines of configuration, without the version, where the sensor reads them.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configure(&self, lines: &str) {
        fs::write(self.daemon().home.join("sensor.yaml"), format!("version: 1\n{lines}\n")).unwrap();
    }

    /// A path in the scratch directory that no other call gets.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.scratch.join(&format!("{number}-{name}"))
    }

    /// `sentry` for this sensor.
    #[must_use]
    pub fn sentry(&self, args: &[&str]) -> Command {
        let mut command = programs::command("sentry");
        command.args(args);
        self.at_home(&mut command);
        command
    }

    /// Gives a command this sensor's socket and mark.
    pub fn at_home<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("AGENTSENTRY_SOCKET", self.socket()).env(procs::MARK, &self.mark).env("NO_COLOR", "1")
    }

    /// Runs `sentry` to its end.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Output {
        programs::finish(&mut self.sentry(args))
    }

    /// Runs `sentry` with `--json`; it has to end with 0. One value per line.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        let output = programs::finish(self.sentry(args).arg("--json"));
        assert_eq!(output.status.code(), Some(0), "sentry {args:?}: {}", programs::text(&output));
        lines(&output.stdout)
    }

    /// `sentry health`, whatever it says.
    ///
    /// # Panics
    /// When the sensor does not answer.
    #[must_use]
    pub fn health(&self) -> Value {
        let output = programs::finish(self.sentry(&["health"]).arg("--json"));
        lines(&output.stdout).pop().unwrap_or_else(|| panic!("no health: {}", programs::text(&output)))
    }

    /// `sentry metrics`, checked.
    ///
    /// # Panics
    /// When the sensor does not answer, or what it says is malformed.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let output = self.cli(&["metrics"]);
        assert_eq!(output.status.code(), Some(0), "{}", programs::text(&output));
        Metrics::read(&String::from_utf8_lossy(&output.stdout), Form::OpenMetrics)
    }

    /// Every event that is kept of a run, in OCSF.
    #[must_use]
    pub fn events(&self, run: &str) -> Vec<Value> {
        self.json(&["events", "--limit", "0", "--run", run])
    }

    /// Every finding that is kept of a run, in OCSF.
    #[must_use]
    pub fn findings(&self, run: &str) -> Vec<Value> {
        self.json(&["findings", "--limit", "0", "--run", run])
    }

    /// The newest state of a run, live or ended.
    ///
    /// # Panics
    /// When the run is not known.
    #[must_use]
    pub fn state_of(&self, run: &str) -> Value {
        let runs = self.json(&["agents", "--all"]);
        runs.iter()
            .find(|state| state["id"] == run)
            .unwrap_or_else(|| panic!("run {run} is not among {runs:#?}"))
            .clone()
    }

    /// Checks the ledger; it has to be whole. How many entries it has.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn verified_ledger(&self) -> u64 {
        let dir = self.state_dir().join("ledger");
        let verified = self.json(&["ledger", "verify", "--dir", &dir.display().to_string()]);
        assert_eq!(verified[0]["verified"], true, "{verified:?}");
        verified[0]["entries"].as_u64().unwrap()
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn terminate(&mut self) -> ExitStatus {
        procs::signal(self.pid(), Signal::SIGTERM);
        self.wait()
    }

    /// Kills it at once.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        self.child().kill().unwrap();
        self.wait();
    }

    /// Starts it again on the same state; it must have ended.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn start_again(&mut self) {
        assert!(self.child().try_wait().unwrap().is_some(), "the sensor still runs");
        *self.child() = self.setup.command(&self.daemon().home).spawn().unwrap();
        self.wait_until_it_answers();
    }

    fn wait(&mut self) -> ExitStatus {
        let child = self.child();
        wait::until("the sensor ends", || child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()))
    }

    fn wait_until_it_answers(&mut self) {
        // A sensor that cannot start ends. One that lives loads its programs: in an emulated
        // machine on a busy host that has taken longer than anything else that a test waits for.
        let limit = wait::patience() * 4;
        let socket = self.socket();
        wait::until_within(limit, "the sensor listens", || {
            if let Some(status) = self.child().try_wait().unwrap() {
                panic!("the sensor ended with {status}: {}", self.log());
            }
            UnixStream::connect(&socket).map_err(|error| error.to_string())
        });
        let output = programs::finish(self.sentry(&["health"]).arg("--json"));
        assert!(!output.stdout.is_empty(), "{}\n{}", programs::text(&output), self.log());
    }

    /// A command of this sensor that goes on beside the test.
    #[must_use]
    pub fn beside(&self, command: &mut Command) -> Gathered {
        Gathered::start(self.at_home(command))
    }
}

impl Daemon {
    fn log(&self) -> std::io::Result<String> {
        fs::read_to_string(self.home.join("sensor.log"))
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.daemon().log().unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- end of the sensor's log");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        procs::kill_marked(&self.mark);
        let runs = self.child().try_wait().is_ok_and(|ended| ended.is_none());
        if self.handed_on && runs && !std::thread::panicking() {
            wait::until("the last test's runs end", || {
                let live = self.json(&["agents"]);
                if live.is_empty() { Ok(()) } else { Err(format!("{live:?}")) }
            });
            *RESTING.lock() = self.daemon.take();
            return;
        }
        drop(self.daemon.take());
        procs::kill_marked(&self.mark);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        cgroup::remove_runs_of(&self.state.join("ledger"));
    }
}

/// One JSON value per line.
///
/// # Panics
/// When a line is none.
#[must_use]
pub fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}")))
        .collect()
}
