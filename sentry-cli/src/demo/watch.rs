//! What happened, by the sensor's API and the kernel's CPU counter.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use sentry_kernel::cgroup::{Cgroup, CgroupRoot, CpuTime, RUNS_DIR};
use sentry_proto::v1::{self, item::Item, outcome::Result as OutcomeResult};
use tokio::process::Child;

use super::{
    super::{
        client::Client,
        error::CliError,
        render::{BOLD, paint, safe},
    },
    say::{say, step},
};

/// How often the CPU counter is read, and over how many readings a peak is taken.
const READ_EVERY: Duration = Duration::from_millis(50);
const PEAK_READINGS: usize = 4;

/// The story so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    runs: BTreeMap<String, v1::Run>,
    finding: Option<v1::Finding>,
    frozen: Option<v1::Outcome>,
    killed: Option<v1::Outcome>,
    meter: Meter,
}

/// Follows the sensor's record until the command has ended, and shows each step once.
pub(super) async fn follow(
    client: &mut Client,
    child: &mut Child,
    seen: &mut Seen,
) -> Result<ExitStatus, CliError> {
    let request = v1::ItemsRequest { follow: true, ..request() };
    let mut items = client.items(request).await?.into_inner();
    let mut readings = tokio::time::interval(READ_EVERY);
    let status = loop {
        tokio::select! {
            status = child.wait() => {
                break status.map_err(|source| CliError::System { what: "wait for the runaway", source })?;
            }
            item = items.message() => match item? {
                Some(stored) => seen.note(stored.item.and_then(|item| item.item))?,
                None => break child.wait().await
                    .map_err(|source| CliError::System { what: "wait for the runaway", source })?,
            },
            _ = readings.tick() => seen.meter.read(seen.runs.keys()),
        }
    };
    // The live stream may be behind the command's end; what is kept is not.
    let mut kept = client.items(request_kept()).await?.into_inner();
    while let Some(stored) = kept.message().await? {
        seen.note(stored.item.and_then(|item| item.item))?;
    }
    Ok(status)
}

fn request() -> v1::ItemsRequest {
    let kinds = [v1::ItemKind::Run, v1::ItemKind::Finding, v1::ItemKind::Outcome];
    v1::ItemsRequest { kinds: kinds.map(i32::from).to_vec(), ..v1::ItemsRequest::default() }
}

fn request_kept() -> v1::ItemsRequest {
    request()
}

impl Seen {
    fn note(&mut self, item: Option<Item>) -> Result<(), CliError> {
        match item {
            Some(Item::Run(run)) => {
                self.runs.insert(run.id.clone(), run);
            }
            Some(Item::Finding(finding)) if self.finding.is_none() => {
                let start =
                    self.runs.get(&finding.run).map_or(finding.since_unix_ns, |run| run.started_unix_ns);
                let time = seconds(finding.time_unix_ns.saturating_sub(start));
                step(Some(format!("Runaway detected in {time}: {}", safe(&finding.summary))), "")?;
                self.finding = Some(finding);
            }
            Some(Item::Outcome(outcome)) if outcome.result() == OutcomeResult::Applied => {
                self.act(outcome)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn act(&mut self, outcome: v1::Outcome) -> Result<(), CliError> {
        match outcome.action() {
            v1::Action::Freeze if self.frozen.is_none() => self.frozen = Some(outcome),
            v1::Action::Kill if self.killed.is_none() => {
                self.killed = Some(outcome);
                let (Some(frozen), Some(killed)) = (&self.frozen, &self.killed) else { return Ok(()) };
                let line = format!(
                    "Frozen in {}, killed {} processes in {}, {} survivors",
                    millis(frozen.took_ns),
                    paint(BOLD, &killed.processes.to_string()),
                    millis(killed.took_ns),
                    paint(BOLD, &killed.survivors.to_string())
                );
                step(Some(line), "")?;
                say("  … starting it again")?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finding(&self) -> Option<&v1::Finding> {
        self.finding.as_ref()
    }

    pub(super) fn peak(&self) -> Option<String> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let percent = self.meter.peak? * 100.0;
        Some(format!("CPU peaked at {} of {}%", paint(BOLD, &format!("{percent:.0}%")), cores * 100))
    }

    /// The second life: another run than the killed one, ended, and without a finding.
    pub(super) fn recovered(&self) -> Option<&str> {
        let killed = self.killed.as_ref()?;
        let second = self.runs.values().find(|run| run.id != killed.run)?;
        (second.state() == v1::RunState::Ended && second.findings == 0).then_some(second.id.as_str())
    }

    pub(super) fn story_told(&self) -> bool {
        self.missing().is_empty() && self.killed.as_ref().is_some_and(|killed| killed.survivors == 0)
    }

    pub(super) fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.finding.is_none() {
            missing.push("the runaway was not detected");
        }
        if self.frozen.is_none() {
            missing.push("the runaway was not frozen");
        }
        if self.killed.is_none() {
            missing.push("the runaway was not killed");
        }
        missing
    }
}

/// CPU use of the first run, in cores, from its cgroup's counter.
#[derive(Debug, Default)]
struct Meter {
    group: Option<Cgroup>,
    readings: VecDeque<(Instant, u64)>,
    peak: Option<f64>,
}

impl Meter {
    fn read<'a>(&mut self, mut runs: impl Iterator<Item = &'a String>) {
        if self.group.is_none()
            && let Some(run) = runs.next()
        {
            let root = CgroupRoot::find().ok();
            self.group = root.and_then(|root| root.open(&Path::new(RUNS_DIR).join(run)).ok());
        }
        // Gone after the kill, and then the readings end.
        if let Some(Ok(CpuTime { usage_usec: usage, .. })) = self.group.as_ref().map(Cgroup::cpu_time) {
            self.note(Instant::now(), usage);
        }
    }

    fn note(&mut self, now: Instant, usage_usec: u64) {
        self.readings.push_back((now, usage_usec));
        if self.readings.len() < PEAK_READINGS {
            return;
        }
        if let Some((then, before)) = self.readings.pop_front() {
            let spent = usage_usec.saturating_sub(before) as f64 / 1e6;
            let cores = spent / now.duration_since(then).as_secs_f64().max(1e-3);
            self.peak = Some(self.peak.map_or(cores, |peak| peak.max(cores)));
        }
    }
}

/// Times of the sensor's own record, each kind in one unit so that demos can be compared.
fn seconds(ns: u64) -> String {
    paint(BOLD, &format!("{:.2} s", ns as f64 / 1e9))
}

fn millis(ns: u64) -> String {
    paint(BOLD, &format!("{:.1} ms", ns as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_the_largest_mean_over_some_readings() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let usages = [0, 100_000, 200_000, 300_000, 600_000, 900_000, 1_000_000, 1_000_000];
        for (at, usage) in (0_u32..).zip(usages) {
            meter.note(start + READ_EVERY * at, usage);
        }
        let peak = meter.peak.map(|peak| (peak * 100.0).round());
        // 700 ms of CPU time in three readings.
        assert_eq!(peak, Some(467.0));
    }

    #[test]
    fn recovery_is_another_run_that_ended_without_a_finding() {
        let run = |id: &str, state: v1::RunState, findings| v1::Run {
            id: id.into(),
            state: state.into(),
            findings,
            ..v1::Run::default()
        };
        let mut seen = Seen::default();
        seen.runs.insert("a".into(), run("a", v1::RunState::Ended, 1));
        assert_eq!(seen.recovered(), None);
        seen.killed = Some(v1::Outcome { run: "a".into(), ..v1::Outcome::default() });
        assert_eq!(seen.recovered(), None);
        seen.runs.insert("b".into(), run("b", v1::RunState::Running, 0));
        assert_eq!(seen.recovered(), None);
        seen.runs.insert("b".into(), run("b", v1::RunState::Ended, 0));
        assert_eq!(seen.recovered(), Some("b"));
        assert!(!seen.story_told() && seen.missing().len() == 2);
    }
}
