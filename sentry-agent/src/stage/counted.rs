//! What the act stage counts: runs, findings, and acts with the time that they took.

use std::time::Duration;

use sentry_detect::{
    decision::{Action, Outcome, OutcomeKind},
    finding::Finding,
    rule::RULES,
    run::Mode,
};
use sentry_service::{
    metrics,
    metrics::{Bounds, By, Histogram, Label},
};

metrics! {
    /// Of this sensor life.
    pub struct Counted in "agentsentry_sensor_" {
        Counter runs_started_total ["mode"]: By<OfMode>, "Runs that began, by the mode they began in.";
        Counter runs_ended_total ["mode"]: By<OfMode>, "Runs that ended, by the mode they ended in.";
        Counter findings_total ["rule"]: By<OfRule>, "Findings, by rule.";
        Counter acts_total ["action", "result"]: By<OfAction, By<OfResult>>,
            "Acts, by what was verified afterwards; those of observe mode would have been applied.";
        Histogram stop_seconds ["action"]: By<OfStop, Histogram<Seconds>>,
            "From a decision to the verified stop, of freezes and kills that were applied.";
    }
}

/// Buckets of the time that a stop takes.
#[derive(Debug)]
pub struct Seconds;

impl Bounds for Seconds {
    const BOUNDS: &'static [f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
}

/// The mode of a run.
#[derive(Clone, Copy, Debug)]
pub struct OfMode(pub Mode);

impl Label for OfMode {
    fn names() -> Vec<&'static str> {
        vec!["observe", "enforce"]
    }

    fn index(&self) -> usize {
        match self.0 {
            Mode::Observe => 0,
            Mode::Enforce => 1,
        }
    }
}

/// A rule, by its place in the table.
#[derive(Clone, Copy, Debug)]
pub struct OfRule(usize);

impl OfRule {
    /// That of a finding; one that an earlier version made, or the sensor itself, has the place
    /// behind all.
    fn of(finding: &Finding) -> Self {
        let rule = &finding.signal.rule;
        Self(RULES.iter().position(|about| about.id == *rule).unwrap_or(RULES.len()))
    }
}

impl Label for OfRule {
    fn names() -> Vec<&'static str> {
        RULES.iter().map(|about| about.id.as_str()).chain(["other"]).collect()
    }

    fn index(&self) -> usize {
        self.0
    }
}

/// What is done to a run.
#[derive(Clone, Copy, Debug)]
pub struct OfAction(Action);

impl Label for OfAction {
    fn names() -> Vec<&'static str> {
        vec!["observe", "freeze", "thaw", "kill", "restart"]
    }

    fn index(&self) -> usize {
        match self.0 {
            Action::Observe => 0,
            Action::Freeze => 1,
            Action::Thaw => 2,
            Action::Kill => 3,
            Action::Restart => 4,
        }
    }
}

/// The result of an act.
#[derive(Clone, Copy, Debug)]
pub enum OfResult {
    Applied,
    WouldApply,
    Refused,
    Failed,
}

impl OfResult {
    fn of(result: &OutcomeKind) -> Self {
        match result {
            OutcomeKind::Applied => Self::Applied,
            OutcomeKind::WouldApply => Self::WouldApply,
            OutcomeKind::Refused { .. } => Self::Refused,
            OutcomeKind::Failed { .. } => Self::Failed,
        }
    }
}

impl Label for OfResult {
    fn names() -> Vec<&'static str> {
        vec!["applied", "would_apply", "refused", "failed"]
    }

    fn index(&self) -> usize {
        *self as usize
    }
}

/// An act that stops a run.
#[derive(Clone, Copy, Debug)]
pub enum OfStop {
    Freeze,
    Kill,
}

impl OfStop {
    fn of(action: Action) -> Option<Self> {
        match action {
            Action::Freeze => Some(Self::Freeze),
            Action::Kill => Some(Self::Kill),
            Action::Observe | Action::Thaw | Action::Restart => None,
        }
    }
}

impl Label for OfStop {
    fn names() -> Vec<&'static str> {
        vec!["freeze", "kill"]
    }

    fn index(&self) -> usize {
        *self as usize
    }
}

impl Counted {
    pub(super) fn started(&self, mode: Mode) {
        self.runs_started_total.add(&OfMode(mode), 1);
    }

    pub(super) fn ended(&self, mode: Mode) {
        self.runs_ended_total.add(&OfMode(mode), 1);
    }

    pub(super) fn found(&self, finding: &Finding) {
        self.findings_total.add(&OfRule::of(finding), 1);
    }

    pub(super) fn acted(&self, outcome: &Outcome) {
        if let Some(results) = self.acts_total.of(&OfAction(outcome.action)) {
            results.add(&OfResult::of(&outcome.result), 1);
        }
        let stop = OfStop::of(outcome.action).filter(|_| outcome.result == OutcomeKind::Applied);
        if let Some(histogram) = stop.and_then(|stop| self.stop_seconds.of(&stop)) {
            histogram.observe(Duration::from_nanos(outcome.took_ns).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use sentry_detect::run::RunId;
    use sentry_service::metrics::{Form, text};

    use super::*;

    fn outcome(action: Action, result: OutcomeKind, took_ns: u64) -> Outcome {
        Outcome {
            decision: "d".into(),
            run: RunId("r".into()),
            action,
            result,
            time_unix_ns: 0,
            took_ns,
            processes: 1,
            survivors: 0,
        }
    }

    #[test]
    fn only_stops_that_were_applied_are_timed() {
        let counted = Counted::default();
        counted.acted(&outcome(Action::Freeze, OutcomeKind::Applied, 30_000_000));
        counted.acted(&outcome(Action::Kill, OutcomeKind::WouldApply, 30_000_000));
        counted.acted(&outcome(Action::Thaw, OutcomeKind::Applied, 30_000_000));
        let text = text(&counted.families(), Form::Prometheus);
        for line in [
            "agentsentry_sensor_acts_total{action=\"freeze\",result=\"applied\"} 1",
            "agentsentry_sensor_acts_total{action=\"kill\",result=\"would_apply\"} 1",
            "agentsentry_sensor_acts_total{action=\"thaw\",result=\"applied\"} 1",
            "agentsentry_sensor_stop_seconds_bucket{action=\"freeze\",le=\"0.025\"} 0",
            "agentsentry_sensor_stop_seconds_bucket{action=\"freeze\",le=\"0.05\"} 1",
            "agentsentry_sensor_stop_seconds_sum{action=\"freeze\"} 0.03",
            "agentsentry_sensor_stop_seconds_count{action=\"kill\"} 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }
}
