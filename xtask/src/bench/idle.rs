//! The goals about a sensor that has nothing to do: its memory, its processor time and its start.
//! Not ratios, as there is nothing to compare with.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::json;

use super::{
    goal::{self, Goal, Row},
    machine::Machine,
    stats::Comparison,
};
use crate::step::say;

/// Runs that do nothing.
const RUNS: usize = 50;
/// How often it is started.
const STARTS: usize = 5;

/// For how long its processor time is counted.
pub(super) struct Length {
    pub(super) seconds: u64,
}

pub(super) fn measure(machine: &Machine, length: &Length) -> Result<Vec<Row>> {
    say("bench", "P15, P16: a sensor without runs, and with runs that do nothing");
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        let (sensor, took) = started(machine)?;
        starts.push(took);
        sensor.stop()?;
    }
    let (mut sensor, took) = started(machine)?;
    starts.push(took);
    // What is done once after the start is not what an idle sensor costs.
    thread::sleep(Duration::from_secs(length.seconds / 2));
    let busy = |sensor: &crate::sensor::Sensor| -> Result<f64> {
        let before = sensor.cpu_seconds()?;
        thread::sleep(Duration::from_secs(length.seconds));
        Ok((sensor.cpu_seconds()? - before) / length.seconds as f64 * 100.0)
    };
    let (idle_kib, idle_percent) = (sensor.resident_kib()?, busy(&sensor)?);
    let agents = (0..RUNS).map(|_| machine.agent(&mut sensor)).collect::<Result<Vec<_>>>()?;
    thread::sleep(Duration::from_secs(length.seconds / 2));
    let (runs_percent, runs_kib) = (busy(&sensor)?, sensor.resident_kib()?);
    drop(agents);
    sensor.stop()?;
    starts.sort_by(f64::total_cmp);
    let [fastest, .., slowest] = starts[..] else { unreachable!("it was started more than once") };
    let one = |goal: Goal, figure: f64| row(goal, [figure; 3], 1);
    Ok(vec![
        one(goal::P15, idle_kib / 1024.0),
        one(goal::P15_RUN, (runs_kib - idle_kib) / RUNS as f64),
        one(goal::P16, idle_percent),
        one(goal::P16_RUNS, runs_percent),
        row(goal::P16_START, [fastest, starts[STARTS / 2], slowest], STARTS),
    ])
}

/// From its start until it says that it is healthy, ms.
fn started(machine: &Machine) -> Result<(crate::sensor::Sensor, f64)> {
    let begun = Instant::now();
    let sensor = machine.sensor()?;
    Ok((sensor, begun.elapsed().as_secs_f64() * 1e3))
}

fn row(goal: Goal, [low, ratio, high]: [f64; 3], rounds: usize) -> Row {
    let comparison = Comparison { ratio, low, high, control: 1.0, noise: 0.0 };
    Row { goal, comparison, rounds, detail: json!({}) }
}
