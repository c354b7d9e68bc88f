//! The goals that are one workload's time in two states: nothing, empty programs, bare ring,
//! sensor, and back again.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    goal::{self, Goal, Row},
    machine::Machine,
    stats::{Comparison, Round, median},
    workload::{FORK_EXEC, GETPID, Kind, MIX, OPEN_CLOSE},
};
use crate::step::say;

/// What the sensor is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Nothing,
    Empty,
    BareRing,
}

/// A goal and how it is measured.
pub(super) struct Pair {
    pub(super) goal: Goal,
    base: Base,
    kind: Kind,
    /// The workload is an agent itself; else one runs elsewhere.
    tagged: bool,
    /// So often at most in one go: more would be more than the ring has room for, and those left
    /// out would be cheap.
    most: u64,
}

/// Fills less than half of the bulk ring; beyond, a run is throttled.
const BURST: u64 = 5_000;

pub(super) fn pairs() -> Vec<Pair> {
    let pair = |goal, base, kind, tagged, most| Pair { goal, base, kind, tagged, most };
    vec![
        pair(goal::P1, Base::Nothing, GETPID, false, u64::MAX),
        pair(goal::P2, Base::Empty, MIX, false, u64::MAX),
        pair(goal::P4, Base::Empty, OPEN_CLOSE, true, BURST),
        pair(goal::P5, Base::BareRing, OPEN_CLOSE, true, BURST),
        pair(goal::P6, Base::Nothing, FORK_EXEC, true, u64::MAX),
    ]
}

/// Rounds and their length.
pub(super) struct Length {
    pub(super) rounds: usize,
    pub(super) ms: u32,
}

pub(super) fn measure(machine: &Machine, pairs: &[Pair], length: &Length) -> Result<Vec<Row>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let tier = machine.tier()?;
    let loops: Vec<u64> = pairs
        .iter()
        .map(|pair| {
            let probe = machine.measure(&pair.kind, pair.kind.probe)?;
            Ok(pair.kind.repetitions_for_ms(length.ms, probe).min(pair.most))
        })
        .collect::<Result<_>>()?;
    let names: Vec<&str> = pairs.iter().map(|pair| pair.goal.name).collect();
    say("bench", format_args!("{}: {} rounds on tier {tier}", names.join(", "), length.rounds));
    let mut all = vec![Vec::new(); pairs.len()];
    for _ in 0..length.rounds {
        let measured = Measure { machine, pairs, loops: &loops, tier: &tier, ms: length.ms }.round()?;
        for (rounds, round) in all.iter_mut().zip(measured) {
            rounds.push(round);
        }
    }
    pairs
        .iter()
        .zip(&all)
        .map(|(pair, rounds)| {
            Ok(Row {
                goal: pair.goal,
                comparison: Comparison::of(rounds).context("no rounds were measured")?,
                rounds: rounds.len(),
                detail: detail(rounds),
            })
        })
        .collect()
}

fn detail(rounds: &[Round]) -> Value {
    let ns = |of: fn(&Round) -> [f64; 2]| median(&rounds.iter().flat_map(of).collect::<Vec<_>>());
    json!({ "base_ns": ns(|round| round.without), "sensor_ns": ns(|round| round.with) })
}

/// Measurements in one state: index of the pair and nanoseconds.
type State = Vec<(usize, f64)>;

struct Measure<'a> {
    machine: &'a Machine,
    pairs: &'a [Pair],
    loops: &'a [u64],
    tier: &'a str,
    ms: u32,
}

impl Measure<'_> {
    fn round(&self) -> Result<Vec<Round>> {
        let mut rounds = vec![Round { without: [0.0; 2], with: [0.0; 2] }; self.pairs.len()];
        for base in [Base::Nothing, Base::Empty, Base::BareRing] {
            self.base(base)?.into_iter().for_each(|(at, ns)| rounds[at].without[0] = ns);
        }
        let mut sensor = self.machine.sensor()?;
        let agent = self.machine.agent(&mut sensor)?;
        for turn in 0..2 {
            self.with_sensor()?.into_iter().for_each(|(at, ns)| rounds[at].with[turn] = ns);
        }
        drop(agent);
        sensor.stop()?;
        for base in [Base::BareRing, Base::Empty, Base::Nothing] {
            self.base(base)?.into_iter().for_each(|(at, ns)| rounds[at].without[1] = ns);
        }
        Ok(rounds)
    }

    fn base(&self, base: Base) -> Result<State> {
        if !self.pairs.iter().any(|pair| pair.base == base) {
            return Ok(State::new());
        }
        let empty = (base == Base::Empty).then(|| self.machine.empty(self.tier)).transpose()?;
        let mut state = State::new();
        for (at, pair) in self.pairs.iter().enumerate().filter(|(_, pair)| pair.base == base) {
            let ns = match base {
                Base::BareRing => self.bare(pair)?,
                Base::Nothing | Base::Empty => self.machine.measure(&pair.kind, self.loops[at])?,
            };
            state.push((at, ns));
        }
        empty.map(super::machine::Side::finish).transpose()?;
        Ok(state)
    }

    /// Time in the kernel per bare record.
    fn bare(&self, pair: &Pair) -> Result<f64> {
        let side = self.machine.raw(&pair.kind, true)?;
        thread::sleep(Duration::from_millis(self.ms.into()));
        let figures = side.finish()?;
        per(&figures["ns"], figures["records"].as_f64())
    }

    fn with_sensor(&self) -> Result<State> {
        let mut state = State::new();
        for (at, pair) in self.pairs.iter().enumerate() {
            let ns = match (pair.base, pair.tagged) {
                (Base::BareRing, _) => self.in_kernel(pair, self.loops[at])?,
                (_, true) => self.machine.measure_tagged(&pair.kind, &[self.loops[at]])?.0,
                (_, false) => self.machine.measure(&pair.kind, self.loops[at])?,
            };
            state.push((at, ns));
        }
        Ok(state)
    }

    /// Time in all of the sensor's programs per event: also what they spend on calls that are none.
    fn in_kernel(&self, pair: &Pair, loops: u64) -> Result<f64> {
        let side = self.machine.stats()?;
        let (_, run) = self.machine.measure_tagged(&pair.kind, &[loops])?;
        let figures = side.finish()?;
        let ns =
            figures["programs"].as_array().context("no programs")?.iter().filter_map(|p| p["ns"].as_f64());
        let rings = &run["rings"];
        let events = ["critical", "bulk"].map(|ring| rings[ring]["generated"].as_f64().unwrap_or(0.0));
        per(&ns.sum::<f64>().into(), Some(events.iter().sum()))
    }
}

fn per(total: &Value, count: Option<f64>) -> Result<f64> {
    let (total, count) = (total.as_f64().context("no figure")?, count.context("no count")?);
    anyhow::ensure!(total > 0.0 && count > 0.0, "nothing was measured: {total} ns, {count} records");
    Ok(total / count)
}
