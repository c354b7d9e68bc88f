//! `cargo xtask bench`: what a process that is no agent pays for the sensor, as ratios.
//!
//! Each round measures without the sensor, twice with it, and without it again, so that a machine that gets slower or
//! warmer meanwhile favours neither. The two measurements without the sensor are also compared with each other: that
//! ratio is the noise, and a difference below it means nothing. Reported are medians over the rounds; absolute times
//! are this machine's and are not reported as results.
//!
//! Two states of the sensor are measured: `idle`, no agent runs, and `run`, one agent runs elsewhere and does nothing.

mod stats;
mod workload;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

pub(crate) use self::workload::command as workload_command;
use self::{
    stats::{Comparison, Round},
    workload::{KINDS, Kind},
};
use crate::{
    args::Args,
    build::{self, What},
    paths,
    sensor::{self, Sensor},
    step::{self, say},
};

const AREA: &str = "bench";
const ROUNDS: usize = 15;
/// Name of the agent that runs and does nothing.
const AGENT: &str = "xtask-bench";

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Run,
}

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let as_json = args.flag("--json");
    args.done()?;
    build::build(What::ReleaseSensor)?;
    let sentry = paths::target().join("release/sentry");
    let dir = paths::target().join("bench");
    let loops = calibrate()?;

    let mut results = Vec::new();
    for (state, name) in [(State::Idle, "idle"), (State::Run, "run")] {
        say(AREA, format_args!("sensor {name}: {ROUNDS} rounds of without, with, with, without"));
        let mut rounds = vec![Vec::with_capacity(ROUNDS); KINDS.len()];
        for _ in 0..ROUNDS {
            for (all, round) in rounds.iter_mut().zip(round(&sentry, &dir, state, &loops)?) {
                all.push(round);
            }
        }
        for (kind, rounds) in KINDS.iter().zip(&rounds) {
            results.push((name, kind.name, Comparison::of(rounds).context("no rounds were measured")?));
        }
    }
    print(&results, as_json);
    Ok(ExitCode::SUCCESS)
}

/// How often each workload has to be repeated to take long enough to be measured.
fn calibrate() -> Result<Vec<u64>> {
    KINDS.iter().map(|kind| Ok(kind.repetitions_for_ms(200, measure(kind, kind.probe)?))).collect()
}

fn round(sentry: &Path, dir: &Path, state: State, loops: &[u64]) -> Result<Vec<Round>> {
    let all = || -> Result<Vec<f64>> {
        KINDS.iter().zip(loops).map(|(kind, loops)| measure(kind, *loops)).collect()
    };
    let before = all()?;
    let mut sensor = Sensor::start(sentry, dir)?;
    let agent = match state {
        State::Idle => None,
        State::Run => Some(Agent::start(sentry, dir, &mut sensor)?),
    };
    let (first, second) = (all()?, all()?);
    drop(agent);
    sensor.stop()?;
    let after = all()?;
    let rounds =
        (0..KINDS.len()).map(|i| Round { without: [before[i], after[i]], with: [first[i], second[i]] });
    Ok(rounds.collect())
}

/// Nanoseconds per repetition, measured inside of a fresh process so that starting it does not count.
fn measure(kind: &Kind, repetitions: u64) -> Result<f64> {
    // The running program itself, even if a build has replaced its file meanwhile.
    let output = step::capture(Command::new("/proc/self/exe").args([
        "workload",
        kind.name,
        &repetitions.to_string(),
    ]))?;
    let ns: f64 = output.trim().parse().with_context(|| format!("the workload printed {output:?}"))?;
    if repetitions == 0 || ns <= 0.0 {
        bail!("the workload {} measured nothing", kind.name);
    }
    Ok(ns)
}

/// An agent that waits for the end of its input.
struct Agent(Child);

impl Agent {
    fn start(sentry: &Path, dir: &Path, sensor: &mut Sensor) -> Result<Self> {
        let socket: PathBuf = sensor::socket(dir);
        let mut run = Command::new(sentry);
        run.arg("run").args(["--name", AGENT]).arg("--socket").arg(&socket).args(["--", "/bin/cat"]);
        let child = run.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let agent = Self(child.context("cannot start sentry run")?);
        let mut agents = Command::new(sentry);
        agents.arg("agents").arg("--json").arg("--socket").arg(&socket);
        sensor.wait_until("the agent does not appear among the sensor's", || {
            let listed = step::capture(&mut agents)?;
            if listed.contains(AGENT) { Ok(()) } else { bail!("agents are: {}", listed.trim()) }
        })?;
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Its input ends, so it ends; there is nothing to do about an error.
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

fn print(results: &[(&str, &str, Comparison)], as_json: bool) {
    if as_json {
        let rows = results.iter().map(|(state, kind, c)| {
            json!({
                "sensor": state, "workload": kind, "rounds": ROUNDS, "ratio": c.ratio,
                "ratio_low": c.low, "ratio_high": c.high, "control": c.control, "noise": c.noise,
            })
        });
        println!("{}", json!({ "bench": rows.collect::<Vec<_>>() }));
        return;
    }
    println!(
        "\n{:<8}{:<12}{:>10}{:>20}{:>12}{:>10}",
        "sensor", "workload", "with/out", "middle half", "control", "noise"
    );
    for (state, kind, c) in results {
        let half = format!("{:.3} – {:.3}", c.low, c.high);
        println!(
            "{state:<8}{kind:<12}{:>10.3}{half:>20}{:>12.3}{:>9.1}%",
            c.ratio,
            c.control,
            c.noise * 100.0
        );
    }
    println!("\ncontrol: without the sensor, after against before; noise: how far that strays, median");
}
