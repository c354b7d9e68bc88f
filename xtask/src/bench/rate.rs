//! The goals about rates: what goes through to the journal without loss, and how many events one
//! wake-up is for.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    goal::{self, Row},
    machine::Machine,
    stats::Comparison,
    workload::{GETPID, OPEN_CLOSE},
};
use crate::step::say;

/// Length of a trial and of the run that counts.
pub(super) struct Length {
    pub(super) trial_s: u64,
    pub(super) sustain_s: u64,
}

/// Parts of what the journal took during a flood, tried one after the other.
const PARTS: [f64; 10] = [1.3, 1.15, 1.0, 0.9, 0.8, 0.7, 0.6, 0.45, 0.3, 0.15];
/// Opens of the flood that gives the first rate.
const FLOOD: u64 = 300_000;
/// Rate at which wake-ups are counted.
const BUSY: u64 = 100_000;

/// The result of one run.
struct Outcome {
    per_second: f64,
    delivered: f64,
    missing: f64,
    wall: f64,
}

fn run(machine: &Machine, numbers: &[u64]) -> Result<Outcome> {
    let started = Instant::now();
    let (ns, report) = machine.measure_tagged(&OPEN_CLOSE, numbers)?;
    let books = &report["run"]["rings"]["bulk"];
    let book = |name: &str| books[name].as_f64().with_context(|| format!("the report has no {name}"));
    Ok(Outcome {
        per_second: 1e9 / ns,
        delivered: book("delivered")?,
        missing: book("lost")? + book("throttled")?,
        wall: started.elapsed().as_secs_f64(),
    })
}

/// Records per second through a bare ring that is drained in batches, and how many found no room.
fn bare(machine: &Machine, seconds: u64) -> Result<(f64, f64)> {
    let side = machine.raw(&GETPID, false)?;
    thread::sleep(Duration::from_secs(seconds));
    let figures = side.finish()?;
    let figure = |name: &str| figures[name].as_f64().with_context(|| format!("no {name}"));
    Ok((figure("records")? / figure("seconds")?, figure("lost")?))
}

/// The highest of the tried rates at which nothing is lost for long.
pub(super) fn without_loss(machine: &Machine, length: &Length) -> Result<Row> {
    say("bench", "P7: the bare ring, a flood, then lower rates until nothing is lost");
    let before = bare(machine, length.trial_s)?;
    let sensor = machine.sensor()?;
    let flood = run(machine, &[FLOOD])?;
    let capacity = flood.delivered / flood.wall;
    let mut best = None;
    for part in PARTS {
        let trial = |seconds: u64| -> Result<Outcome> {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive rate")]
            let rate = ((capacity * part) as u64).max(1_000);
            run(machine, &[rate * seconds, rate])
        };
        if trial(length.trial_s)?.missing > 0.0 {
            continue;
        }
        let outcome = trial(length.sustain_s)?;
        if outcome.missing == 0.0 {
            best = Some(outcome);
            break;
        }
    }
    sensor.stop()?;
    let after = bare(machine, length.trial_s)?;
    let Some(best) = best else { bail!("even the lowest of the rates was not without loss") };
    let ratio = |bare: (f64, f64)| best.per_second / bare.0;
    let (first, second) = (ratio(before), ratio(after));
    let control = after.0 / before.0;
    Ok(Row {
        goal: goal::P7,
        comparison: Comparison {
            ratio: f64::midpoint(first, second),
            low: first.min(second),
            high: first.max(second),
            control,
            noise: (control - 1.0).abs(),
        },
        rounds: 1,
        detail: json!({
            "events_per_second": best.per_second, "seconds": length.sustain_s,
            "events": best.delivered, "lost": 0,
            "flood_per_second": capacity, "bare_per_second": [before.0, after.0],
            "bare_lost": [before.1, after.1],
        }),
    })
}

/// Events per wake-up while a run opens files at a high, steady rate.
pub(super) fn wakeups(machine: &Machine, length: &Length) -> Result<Row> {
    say("bench", "P8: wake-ups of the ring's reader");
    let sensor = machine.sensor()?;
    let mut figures = Vec::new();
    let mut details = Vec::new();
    for _ in 0..3 {
        let before = machine.health()?;
        let outcome = run(machine, &[BUSY * length.trial_s, BUSY])?;
        let after = machine.health()?;
        let delta = |name: &str| Some(after["ring"][name].as_f64()? - before["ring"][name].as_f64()?);
        let (records, wakeups) = delta("records").zip(delta("wakeups")).context("no ring in the health")?;
        figures.push(records / wakeups.max(1.0));
        details.push(json!({
            "per_second": outcome.per_second, "records": records, "wakeups": wakeups,
            "missing": outcome.missing,
        }));
    }
    sensor.stop()?;
    let control = figures[2] / figures[0];
    figures.sort_by(f64::total_cmp);
    Ok(Row {
        goal: goal::P8,
        comparison: Comparison {
            ratio: figures[1],
            low: figures[0],
            high: figures[2],
            control,
            noise: (control - 1.0).abs(),
        },
        rounds: 3,
        detail: Value::Array(details),
    })
}
