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
    let (ns, run) = machine.measure_tagged(&OPEN_CLOSE, numbers)?;
    let books = &run["rings"]["bulk"];
    let book = |name: &str| books[name].as_f64().with_context(|| format!("the run has no {name}"));
    Ok(Outcome {
        per_second: 1e9 / ns,
        delivered: book("delivered")?,
        missing: book("lost")? + book("throttled")?,
        wall: started.elapsed().as_secs_f64(),
    })
}

/// A bare ring that is drained in batches.
struct Bare {
    per_second: f64,
    /// Records that found no room.
    lost: f64,
    /// Processor time of the drain for a record.
    ns: f64,
}

fn bare(machine: &Machine, seconds: u64) -> Result<Bare> {
    let side = machine.raw(&GETPID, false)?;
    thread::sleep(Duration::from_secs(seconds));
    let figures = side.finish()?;
    let figure = |name: &str| figures[name].as_f64().with_context(|| format!("no {name}"));
    let records = figure("records")?;
    Ok(Bare {
        per_second: records / figure("seconds")?,
        lost: figure("lost")?,
        ns: figure("cpu_seconds")? * 1e9 / records,
    })
}

/// The highest of the tried rates at which nothing is lost for long, and the sensor's processor
/// time for an event at that rate.
pub(super) fn without_loss(machine: &Machine, length: &Length) -> Result<[Row; 2]> {
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
        let before = sensor.cpu_seconds()?;
        let outcome = trial(length.sustain_s)?;
        if outcome.missing == 0.0 {
            best = Some((outcome, sensor.cpu_seconds()? - before));
            break;
        }
    }
    sensor.stop()?;
    let after = bare(machine, length.trial_s)?;
    let Some((best, cpu)) = best else { bail!("even the lowest of the rates was not without loss") };
    let ns = cpu * 1e9 / best.delivered;
    let row = |goal, [first, second]: [f64; 2], control: f64, detail| Row {
        goal,
        comparison: Comparison {
            ratio: f64::midpoint(first, second),
            low: first.min(second),
            high: first.max(second),
            control,
            noise: (control - 1.0).abs(),
        },
        rounds: 1,
        detail,
    };
    let rate = json!({
        "events_per_second": best.per_second, "seconds": length.sustain_s, "events": best.delivered, "lost": 0,
        "flood_per_second": capacity, "bare_per_second": [before.per_second, after.per_second],
        "bare_lost": [before.lost, after.lost],
    });
    let ratios = [before.per_second, after.per_second].map(|bare| best.per_second / bare);
    let time = json!({ "ns_per_event": ns, "bare_ns_per_record": [before.ns, after.ns] });
    Ok([
        row(goal::P7, ratios, after.per_second / before.per_second, rate),
        row(goal::P9, [ns / before.ns, ns / after.ns], after.ns / before.ns, time),
    ])
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
