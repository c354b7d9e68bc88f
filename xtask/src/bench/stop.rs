//! The goals about stops: how long a freeze takes, and the kill of a thousand processes, beside the
//! same by hand, which is two files of the cgroup and nothing verified or noted.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::{
    goal::{self, Goal, Row},
    machine::Machine,
    stats::{Comparison, Round, median},
};
use crate::{args::Args, step::say};

/// Processes of the run that is frozen.
const FEW: u64 = 10;
/// Processes of the run that is killed.
const MANY: u64 = 1_000;

/// How often.
pub(super) struct Length {
    pub(super) rounds: usize,
    /// Freezes in each part of a round.
    pub(super) freezes: usize,
}

/// Milliseconds of one crowd's stops.
struct Stops {
    freeze: f64,
    kill: f64,
}

pub(super) fn measure(machine: &Machine, length: &Length) -> Result<[Row; 2]> {
    say("bench", format_args!("P11, P12: {} rounds of freezes and kills", length.rounds));
    let sensor = machine.sensor()?;
    let (mut freezes, mut kills, mut of_sensor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..length.rounds {
        let bare = || stops(&Bare::new(machine)?, length);
        let watched = || stops(&Watched(machine), length);
        let (before, first, second, after) = (bare()?, watched()?, watched()?, bare()?);
        let round = |of: fn(&Stops) -> f64| Round {
            without: [of(&before), of(&after)],
            with: [of(&first), of(&second)],
        };
        freezes.push(round(|stops| stops.freeze));
        kills.push(round(|stops| stops.kill));
        of_sensor.extend([first, second]);
    }
    sensor.stop()?;
    let row = |goal: Goal, rounds: &[Round], of: fn(&Stops) -> f64| -> Result<Row> {
        let figures: Vec<f64> = of_sensor.iter().map(of).collect();
        Ok(Row {
            goal,
            comparison: Comparison::of(rounds).context("no rounds were measured")?,
            rounds: rounds.len(),
            detail: json!({ "ms": median(&figures) }),
        })
    };
    Ok([row(goal::P11, &freezes, |stops| stops.freeze)?, row(goal::P12, &kills, |stops| stops.kill)?])
}

fn stops(stopper: &impl Stopper, length: &Length) -> Result<Stops> {
    let crowd = stopper.crowd(FEW)?;
    let mut freezes = Vec::new();
    for _ in 0..length.freezes {
        freezes.push(stopper.stop("freeze")?);
        stopper.stop("thaw")?;
    }
    stopper.stop("kill")?;
    crowd.gone()?;
    let crowd = stopper.crowd(MANY)?;
    let kill = stopper.stop("kill")?;
    crowd.gone()?;
    Ok(Stops { freeze: median(&freezes), kill })
}

/// Who stops a crowd.
trait Stopper {
    fn crowd(&self, processes: u64) -> Result<Crowd>;
    /// Milliseconds until it was done, and seen to be.
    fn stop(&self, act: &str) -> Result<f64>;
}

/// The sensor; what it measured itself, from the order to the last look.
struct Watched<'a>(&'a Machine);

impl Stopper for Watched<'_> {
    fn crowd(&self, processes: u64) -> Result<Crowd> {
        Crowd::start(&mut self.0.crowd(processes))
    }

    fn stop(&self, act: &str) -> Result<f64> {
        let outcome = self.0.act(act)?;
        let ns = outcome["took_ns"].as_f64().with_context(|| format!("no time in {outcome}"))?;
        Ok(ns / 1e6)
    }
}

/// Files of a cgroup.
struct Bare<'a> {
    machine: &'a Machine,
    group: PathBuf,
}

impl<'a> Bare<'a> {
    fn new(machine: &'a Machine) -> Result<Self> {
        let group = super::machine::cgroup_root()?.join("xtask-bench");
        fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
        Ok(Self { machine, group })
    }
}

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        let _empty_by_now = fs::remove_dir(&self.group);
    }
}

impl Stopper for Bare<'_> {
    fn crowd(&self, processes: u64) -> Result<Crowd> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(self.group.join("cgroup.procs"));
        let crowd = self.machine.bare_crowd(processes);
        Crowd::start(shell.arg(crowd.get_program()).args(crowd.get_args()))
    }

    fn stop(&self, act: &str) -> Result<f64> {
        let (file, text, seen) = match act {
            "freeze" => ("cgroup.freeze", "1", "frozen 1"),
            "thaw" => ("cgroup.freeze", "0", "frozen 0"),
            _ => ("cgroup.kill", "1", "populated 0"),
        };
        let begun = Instant::now();
        fs::write(self.group.join(file), text).with_context(|| format!("cannot write {file}"))?;
        while !fs::read_to_string(self.group.join("cgroup.events"))?.contains(seen) {}
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }
}

/// Processes that do nothing.
struct Crowd(Child);

impl Crowd {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut crowd = Self(child.context("cannot start a crowd")?);
        let mut line = String::new();
        BufReader::new(crowd.0.stdout.take().context("no standard output")?).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "the crowd said {line:?}");
        Ok(crowd)
    }

    /// It was killed.
    fn gone(mut self) -> Result<()> {
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Its input ends, and with it the crowd, where nobody has killed it.
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

/// `xtask crowd N`: so many processes that sleep, until the input ends.
pub(crate) fn crowd_command(mut args: Args) -> Result<ExitCode> {
    let words = args.words();
    args.done()?;
    let [number] = &words[..] else { bail!("needs a number of processes") };
    let mut children = Vec::new();
    for _ in 0..number.parse::<u32>().context("no number of processes")? {
        children.push(Command::new(Path::new("/bin/sleep")).arg("600").spawn()?);
    }
    println!("ready");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    Ok(ExitCode::SUCCESS)
}
