//! The goal about the collector: the events that it stores durably, in blocks, beside a bare tonic
//! server that gets the same events one by one and throws them away: what any collector had to
//! take before there were blocks.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    goal::{self, Row},
    stats::{Comparison, Round, median},
};
use crate::{
    paths,
    step::{self, say},
};

/// How often, and with how many events.
pub(super) struct Length {
    pub(super) rounds: usize,
    pub(super) events: u64,
}

/// One run of `sentry-collector/examples/ingest.rs` against this target.
fn run(target: &str, form: &str, length: &Length) -> Result<Value> {
    let mut command = Command::new(paths::target().join("release/examples/ingest"));
    command.args([target, form, &length.events.to_string()]);
    Ok(serde_json::from_str(&step::capture(&mut command)?)?)
}

fn figure(line: &Value, name: &str) -> Result<f64> {
    line[name].as_f64().with_context(|| format!("no {name} in {line}"))
}

pub(super) fn durable(length: &Length) -> Result<Row> {
    say("bench", format_args!("P14: {} rounds of {} events in blocks", length.rounds, length.events));
    let collector = paths::target().join("release/sentry-collector");
    let collector = collector.to_str().context("the path of the collector is not UTF-8")?;
    let (mut rounds, mut stored) = (Vec::new(), Vec::new());
    for _ in 0..length.rounds {
        let sink = || run("sink", "events", length);
        let store = || run(collector, "blocks", length);
        let (before, first, second, after) = (sink()?, store()?, store()?, sink()?);
        let rate = |line: &Value| figure(line, "per_second");
        rounds
            .push(Round { without: [rate(&before)?, rate(&after)?], with: [rate(&first)?, rate(&second)?] });
        stored.extend([first, second]);
    }
    let of = |name: &str| -> Result<f64> {
        let figures: Vec<f64> = stored.iter().map(|line| figure(line, name)).collect::<Result<_>>()?;
        Ok(median(&figures))
    };
    Ok(Row {
        goal: goal::P14,
        comparison: Comparison::of(&rounds).context("no rounds were measured")?,
        rounds: rounds.len(),
        detail: json!({
            "events_per_second": of("per_second")?, "cpu_us_per_event": of("cpu_us")?,
            "bytes_on_disk": of("disk")?, "bytes_on_the_wire": of("wire")?,
        }),
    })
}
