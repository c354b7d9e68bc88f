//! One scenario, from its start to its verdict.

use std::{fmt::Write as _, path::Path, process::Command};

use serde_json::{Value, json};

use super::{
    Scenario, Stage,
    pattern::{self, Variables},
};
use crate::{capability, programs, sensor::Sensor, supervised::Order, wait};

/// The result of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Seen,
    /// Some or all of it is not seen here, for known reasons.
    Limited(Vec<String>),
    /// This machine lacks something that it needs.
    LeftOut(String),
    /// What is not as the file says.
    Wrong(String),
}

impl Verdict {
    /// One line of the table of coverage.
    #[must_use]
    pub fn line(&self, scenario: &Scenario) -> Value {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let (verdict, reasons) = match self {
            Self::Seen => ("seen", Vec::new()),
            Self::Limited(reasons) => ("limit", reasons.clone()),
            Self::LeftOut(reason) => ("left out", vec![reason.clone()]),
            Self::Wrong(what) => ("wrong", vec![what.lines().next().unwrap_or_default().to_owned()]),
        };
        json!({
            "id": scenario.id,
            "title": scenario.title,
            "rows": scenario.rows,
            "kernel": kernel.trim(),
            "tier": capability::tier(),
            "verdict": verdict,
            "reasons": reasons,
        })
    }
}

/// Plays it in a run, and once more beside the run, where nothing may be seen of it.
///
/// # Panics
/// When the sensor or a workload cannot be had.
#[must_use]
pub fn play(scenario: &Scenario, sensor: &Sensor, number: usize) -> Verdict {
    for need in &scenario.needs {
        if !capability::has(&scenario.id, need) {
            return Verdict::LeftOut(format!("{need} is missing"));
        }
    }
    let stage = Stage::set(sensor, number);
    let name = format!("scene-{}", scenario.id);
    let order = Order::new(sensor, &name).directory(stage.dir().to_owned());
    let supervised = order.start(&command(scenario, &stage, stage.dir()));
    let mut wrong = String::new();
    // An emulated machine takes seconds for each process; that scenarios stay apart is shown on the
    // others.
    if !scenario.alone && !wait::slow() {
        let line = command(scenario, &stage, stage.beside());
        let mut beside = Command::new(&line[0]);
        let beside = sensor.beside(beside.args(&line[1..]).current_dir(stage.beside())).wait();
        if beside.status.code() != Some(scenario.exit) {
            writeln!(wrong, "beside the run it ended otherwise: {}", programs::text(&beside)).ok();
        }
    }
    let ended = supervised.wait();
    if ended.code() != Some(scenario.exit) {
        writeln!(wrong, "it ended with {:?}: {}", ended.code(), programs::text(&ended.output)).ok();
    }
    let events = sensor.events(&ended.run);
    for event in &events {
        let faults = attributed(event, &name, &ended.run, stage.beside());
        if let Err(what) = faults {
            writeln!(wrong, "{what}: {event:#}").ok();
        }
    }
    let mut reasons = compare(scenario, &events, &stage, &mut wrong);
    if !wrong.is_empty() {
        let told: Vec<String> = events.iter().map(crate::story::line).take(MOST_LINES).collect();
        return Verdict::Wrong(format!("{wrong}told:\n  {}", told.join("\n  ")));
    }
    reasons.dedup();
    if reasons.is_empty() { Verdict::Seen } else { Verdict::Limited(reasons) }
}

/// Lines of a story that a failed scenario shows.
const MOST_LINES: usize = 60;

fn command(scenario: &Scenario, stage: &Stage, dir: &Path) -> Vec<String> {
    if !scenario.program.is_empty() {
        return scenario.program.iter().map(|word| stage.fill_for(word, dir)).collect();
    }
    let mut line = vec![stage.fill("{scene}")];
    for (number, step) in scenario.steps.iter().enumerate() {
        if number > 0 {
            line.push(",".to_owned());
        }
        line.extend(step.iter().map(|word| stage.fill_for(word, dir)));
    }
    line
}

/// Valid, of this run, and not of the process beside it.
fn attributed(event: &Value, agent: &str, run: &str, beside: &Path) -> Result<(), String> {
    sentry_proto::ocsf::check(event).map_err(|faults| format!("{faults:?}"))?;
    if event["ai_agent"]["name"] != agent || event["ai_agent"]["instance_uid"] != run {
        return Err("it names another run".to_owned());
    }
    if event.to_string().contains(&beside.display().to_string()) {
        return Err("a process beside the run did this".to_owned());
    }
    Ok(())
}

/// Reasons of the limits that are real; what is not as the file says goes to `wrong`.
fn compare(scenario: &Scenario, events: &[Value], stage: &Stage, wrong: &mut String) -> Vec<String> {
    let tier = capability::tier();
    let mut variables = Variables::new();
    let mut reasons = Vec::new();
    for see in scenario.see.iter().filter(|see| see.is_for(tier)) {
        let found = pattern::matches(see, events, stage, &mut variables);
        let what = match (see.limit_on(tier), see.count, found.len()) {
            (Some(reason), _, 0) => {
                reasons.push(reason.to_owned());
                continue;
            }
            (Some(_), _, _) => "is seen: take its limit out".to_owned(),
            (None, None, 0) => "is not seen".to_owned(),
            (None, Some(count), found) if count != found => format!("is seen {found} times"),
            (None, ..) => continue,
        };
        let pattern = stage.fill(&format!("{:?}", see.members));
        writeln!(wrong, "{} {pattern} {what} (variables: {variables:?})", see.act).ok();
    }
    reasons
}
