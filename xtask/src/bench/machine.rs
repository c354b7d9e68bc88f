//! What runs beside the workload: the sensor with its agents, or the programs of
//! `sentry-kernel/examples/bench.rs`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::workload::Kind;
use crate::{
    host, paths,
    sensor::{self, Sensor},
    step,
};

/// Name of the agents.
const AGENT: &str = "xtask-bench";

/// Programs and places.
pub(super) struct Machine {
    sentry: PathBuf,
    side: PathBuf,
    dir: PathBuf,
    own: PathBuf,
    /// The workload's processor.
    last: usize,
}

impl Machine {
    pub(super) fn new() -> Result<Self> {
        let release = paths::target().join("release");
        Ok(Self {
            sentry: release.join("sentry"),
            side: release.join("examples/bench"),
            dir: paths::target().join("bench"),
            own: std::env::current_exe().context("cannot find this program's own path")?,
            last: std::thread::available_parallelism().map_or(1, usize::from) - 1,
        })
    }

    fn pin(command: &mut Command, processor: usize) -> Command {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &processor.to_string()]).arg(command.get_program()).args(command.get_args());
        pinned
    }

    /// A workload, in a fresh process on its own processor.
    fn workload(&self, kind: &Kind, numbers: &[u64]) -> Command {
        let mut command = Command::new(&self.own);
        command.args(["workload", kind.name]).args(numbers.iter().map(u64::to_string));
        Self::pin(&mut command, self.last)
    }

    /// Nanoseconds per repetition, measured inside of the process so that starting it does not
    /// count.
    pub(super) fn measure(&self, kind: &Kind, repetitions: u64) -> Result<f64> {
        nanoseconds(kind, &step::capture(&mut self.workload(kind, &[repetitions]))?)
    }

    /// The same in a run of its own; also what the sensor says of the run. Its report is not asked
    /// for: the sensor would read all events again for that, in time that is not theirs.
    pub(super) fn measure_tagged(&self, kind: &Kind, numbers: &[u64]) -> Result<(f64, Value)> {
        let mut run = Command::new(&self.sentry);
        run.args(["run", "--quiet", "--name", AGENT, "--socket"]).arg(sensor::socket(&self.dir)).arg("--");
        let workload = self.workload(kind, numbers);
        run.arg(workload.get_program()).args(workload.get_args());
        let printed = step::capture(&mut run)?;
        let mut agents = Command::new(&self.sentry);
        agents.args(["agents", "--all", "--json", "--socket"]).arg(sensor::socket(&self.dir));
        let listed = step::capture(&mut agents)?;
        let runs = listed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        // Ids are UUIDv7: the newest is the greatest.
        let newest = runs.max_by_key(|run| run["id"].as_str().map(str::to_owned));
        Ok((nanoseconds(kind, &printed)?, newest.context("the sensor lists no run")?))
    }

    /// A sensor with an empty journal: one that is full has to make room for what comes.
    pub(super) fn sensor(&self) -> Result<Sensor> {
        step::capture(
            host::as_root(Path::new("/bin/rm")).arg("-rf").arg(&self.dir).arg(sensor::state_dir(&self.dir)),
        )?;
        Sensor::start(&self.sentry, &self.dir)
    }

    /// `sentry health --json`.
    pub(super) fn health(&self) -> Result<Value> {
        let mut health = Command::new(&self.sentry);
        health.args(["health", "--json", "--socket"]).arg(sensor::socket(&self.dir));
        serde_json::from_str(&step::capture(&mut health)?).context("the health is not JSON")
    }

    /// Which of the hooks this kernel has.
    pub(super) fn tier(&self) -> Result<String> {
        let text = step::capture(host::as_root(&self.sentry).args(["doctor", "--json"]))?;
        let doctor: Value = serde_json::from_str(&text).context("the doctor's answer is not JSON")?;
        Ok(doctor["tier"].as_str().context("the doctor names no tier")?.to_owned())
    }

    /// So many processes that sleep.
    pub(super) fn bare_crowd(&self, processes: u64) -> Command {
        let mut command = Command::new(&self.own);
        command.args(["crowd", &processes.to_string()]);
        command
    }

    /// The same as a run.
    pub(super) fn crowd(&self, processes: u64) -> Command {
        let mut run = Command::new(&self.sentry);
        run.args(["run", "--quiet", "--name", AGENT, "--socket"]).arg(sensor::socket(&self.dir)).arg("--");
        let crowd = self.bare_crowd(processes);
        run.arg(crowd.get_program()).args(crowd.get_args());
        run
    }

    /// Has the sensor freeze, thaw or kill the run; the outcome.
    pub(super) fn act(&self, act: &str) -> Result<Value> {
        let mut command = host::as_root(&self.sentry);
        command.args([act, AGENT, "--json", "--socket"]).arg(sensor::socket(&self.dir));
        let printed = step::capture(&mut command)?;
        let mut lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let outcome = lines.rfind(|line| line["type"] == "outcome");
        outcome.with_context(|| format!("{act} said: {printed}"))
    }

    /// An agent that waits for the end of its input.
    pub(super) fn agent(&self, sensor: &mut Sensor) -> Result<Agent> {
        let mut run = Command::new(&self.sentry);
        run.args(["run", "--quiet", "--name", AGENT, "--socket"]).arg(sensor::socket(&self.dir));
        run.args(["--", "/bin/cat"]);
        let child = run.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let agent = Agent(child.context("cannot start sentry run")?);
        let mut agents = Command::new(&self.sentry);
        agents.args(["agents", "--json", "--socket"]).arg(sensor::socket(&self.dir));
        sensor.wait_until("the agent does not appear among the sensor's", || {
            let listed = step::capture(&mut agents)?;
            if listed.contains(AGENT) { Ok(()) } else { bail!("agents are: {}", listed.trim()) }
        })?;
        Ok(agent)
    }

    /// Empty programs on the hooks of the tier.
    pub(super) fn empty(&self, tier: &str) -> Result<Side> {
        let mut command = host::as_root(&self.side);
        command.arg("empty").arg(paths::bpf_objects().join("empty.o")).arg(tier).arg(cgroup_root()?);
        Side::start(&mut command)
    }

    /// The run times of the sensor's programs from now on.
    pub(super) fn stats(&self) -> Result<Side> {
        Side::start(host::as_root(&self.side).arg("stats").arg(sensor::socket(&self.dir)))
    }

    /// A bare ring: a record for each system call of the workload, taken out by a thread on another
    /// processor.
    pub(super) fn raw(&self, kind: &Kind, count_time: bool) -> Result<Side> {
        let mut command = host::as_root(&self.side);
        command.arg("raw").arg(paths::bpf_objects().join("raw.o"));
        if count_time {
            command.arg("--stats");
        }
        // More than it will have the time for.
        let workload = self.workload(kind, &[u32::MAX.into()]);
        command.arg("--").arg(workload.get_program()).args(workload.get_args());
        Side::start(&mut Self::pin(&mut command, 0))
    }
}

fn nanoseconds(kind: &Kind, printed: &str) -> Result<f64> {
    let ns: f64 = printed.trim().parse().with_context(|| format!("the workload printed {printed:?}"))?;
    if ns <= 0.0 {
        bail!("the workload {} measured nothing", kind.name);
    }
    Ok(ns)
}

/// Where cgroup v2 is mounted.
pub(super) fn cgroup_root() -> Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    let mut kinds = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let root = kinds.find(|words| words.get(2) == Some(&"cgroup2")).context("cgroup v2 is not mounted")?;
    Ok(Path::new(root[1]).to_path_buf())
}

/// An agent that does nothing.
pub(super) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // Its input ends, so it ends; there is nothing to do about an error.
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

/// A program that works until its input ends and then reports what it saw.
pub(super) struct Side {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Side {
    fn start(command: &mut Command) -> Result<Self> {
        let line = step::shell_line(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {line}"))?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut side = Self { child, output };
        let mut first = String::new();
        side.output.read_line(&mut first)?;
        if first.trim() != "ready" {
            bail!("{line} did not get ready: {}", side.child.wait()?);
        }
        Ok(side)
    }

    /// Ends it; its figures.
    pub(super) fn finish(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        serde_json::from_str(&text).with_context(|| format!("it ended with {status} and said {text:?}"))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Already waited for, or nothing to be done about.
        let _ended = self.child.wait();
    }
}
