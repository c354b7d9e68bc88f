//! `cargo xtask bench`: what the sensor costs, as ratios within one run, beside the goals
//! (`docs/performance.md`).
//!
//! Each round measures what the sensor is compared with (nothing, empty programs on the same hooks,
//! a bare ring), twice the sensor, and the former again in the opposite order, so that a machine
//! that gets slower or warmer meanwhile favours neither. The two measurements without the sensor
//! are also compared with each other: that control is the noise, and a difference below it means
//! nothing. Reported are medians over the rounds.

mod counted;
mod goal;
mod idle;
mod ingest;
mod machine;
mod rate;
mod rounds;
mod stats;
mod stop;
mod workload;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use self::{
    goal::{GOALS, Row},
    machine::Machine,
};
pub(crate) use self::{stop::crowd_command, workload::command as workload_command};
use crate::{
    args::{Args, Usage},
    build::{self, What},
    setup,
};

/// How much of everything.
struct Size {
    rounds: rounds::Length,
    rate: rate::Length,
    ingest: ingest::Length,
    idle: idle::Length,
    stop: stop::Length,
}

const FULL: Size = Size {
    rounds: rounds::Length { rounds: 15, ms: 200 },
    rate: rate::Length { trial_s: 4, sustain_s: 60 },
    ingest: ingest::Length { rounds: 5, events: 1_000_000 },
    idle: idle::Length { seconds: 30 },
    stop: stop::Length { rounds: 5, freezes: 20 },
};
const QUICK: Size = Size {
    rounds: rounds::Length { rounds: 3, ms: 60 },
    rate: rate::Length { trial_s: 2, sustain_s: 5 },
    ingest: ingest::Length { rounds: 1, events: 200_000 },
    idle: idle::Length { seconds: 10 },
    stop: stop::Length { rounds: 1, freezes: 5 },
};

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let as_json = args.flag("--json");
    let size = if args.flag("--quick") { QUICK } else { FULL };
    if args.flag("--counted") {
        let kernels = args.words();
        args.done()?;
        setup::ensure()?;
        build::build(What::ProgramsAndTests)?;
        return counted::command(kernels, as_json);
    }
    let words: Vec<String> = args.words().iter().map(|word| word.to_uppercase()).collect();
    args.done()?;
    if let Some(word) = words.iter().find(|word| !GOALS.iter().any(|goal| goal.name == word.as_str())) {
        return Err(Usage(word.clone()).into());
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);

    build::build(What::Bench)?;
    let machine = Machine::new()?;
    let pairs: Vec<_> = rounds::pairs().into_iter().filter(|pair| wanted(pair.goal.name)).collect();
    let mut rows: Vec<Row> = rounds::measure(&machine, &pairs, &size.rounds)?;
    if wanted(goal::P7.name) || wanted(goal::P9.name) {
        let measured = rate::without_loss(&machine, &size.rate)?;
        rows.extend(measured.into_iter().filter(|row| wanted(row.goal.name)));
    }
    if wanted(goal::P8.name) {
        rows.push(rate::wakeups(&machine, &size.rate)?);
    }
    if wanted(goal::P11.name) || wanted(goal::P12.name) {
        let measured = stop::measure(&machine, &size.stop)?;
        rows.extend(measured.into_iter().filter(|row| wanted(row.goal.name)));
    }
    if wanted(goal::P14.name) {
        rows.push(ingest::durable(&size.ingest)?);
    }
    if wanted(goal::P15.name) || wanted(goal::P16.name) {
        let measured = idle::measure(&machine, &size.idle)?;
        rows.extend(measured.into_iter().filter(|row| wanted(row.goal.name)));
    }
    if as_json {
        println!("{}", json!({ "bench": rows.iter().map(Row::json).collect::<Vec<_>>() }));
    } else {
        goal::print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}
