//! What goes into the ledger, by kind.

use sentry_detect::{
    decision::{Decision, Outcome},
    finding::Finding,
};
use sentry_proto::{container, v1};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Entry, Ledger, LedgerError, now_unix_ns, pending::GivenUp};

pub(super) const RUN_START: &str = "run-start";
pub(super) const RUN_END: &str = "run-end";
pub(super) const FINDING: &str = "finding";
pub(super) const DECISION: &str = "decision";
pub(super) const OUTCOME: &str = "outcome";
pub(super) const GIVEN_UP: &str = "given-up";

impl Ledger {
    /// A run began, kind `run-start`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn run_started(&mut self, run: &v1::Run) -> Result<Entry, LedgerError> {
        let mut body = json!({
            "run": run.id,
            "agent": run.agent.as_ref().map(|agent| json!({ "id": agent.id, "name": agent.name })),
            "mode": mode(run),
            "uid": run.uid,
            "command": run.command,
            "command_truncated": run.command_truncated,
            "cgroup_path": run.cgroup_path,
            "cgroup_id": run.cgroup_id,
        });
        if let Some(container) = &run.container {
            body["container"] = container::json(container);
        }
        self.append(RUN_START, body, run.started_unix_ns)
    }

    /// A run ended, kind `run-end`: its totals and the books of its rings.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn run_ended(&mut self, run: &v1::Run) -> Result<Entry, LedgerError> {
        let mut body = json!({
            "run": run.id,
            "critical": run.critical.as_ref().map(books),
            "bulk": run.bulk.as_ref().map(books),
            "findings": run.findings,
            "end_unseen": run.end_unseen,
        });
        for (name, count) in run.counts().reported() {
            body[name] = count.into();
        }
        self.append(RUN_END, body, run.ended_unix_ns.unwrap_or(run.started_unix_ns))
    }

    /// A finding, kind `finding`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn finding(&mut self, finding: &Finding) -> Result<Entry, LedgerError> {
        self.append_value(FINDING, finding, finding.time_unix_ns)
    }

    /// A decision, kind `decision`. It is to be here before anything acts on it.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn decision(&mut self, decision: &Decision) -> Result<Entry, LedgerError> {
        self.append_value(DECISION, decision, decision.time_unix_ns)
    }

    /// What came of a decision, kind `outcome`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn outcome(&mut self, outcome: &Outcome) -> Result<Entry, LedgerError> {
        self.append_value(OUTCOME, outcome, outcome.time_unix_ns)
    }

    /// Stands for entries that could not be written, kind `given-up`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn given_up(&mut self, given_up: &GivenUp) -> Result<Entry, LedgerError> {
        let GivenUp { kind, run, count, why } = given_up;
        let body = json!({ "kind": kind, "run": run, "count": count, "why": why });
        self.append(GIVEN_UP, body, now_unix_ns())
    }

    fn append_value(
        &mut self,
        kind: &'static str,
        value: &impl Serialize,
        time_unix_ns: u64,
    ) -> Result<Entry, LedgerError> {
        match serde_json::to_value(value) {
            Ok(body) => self.append(kind, body, time_unix_ns),
            Err(serde_json::Error { .. }) => Err(LedgerError::Body { kind: kind.to_owned() }),
        }
    }
}

fn mode(run: &v1::Run) -> &'static str {
    match v1::Mode::try_from(run.mode) {
        Ok(v1::Mode::Observe) => "observe",
        Ok(v1::Mode::Enforce) => "enforce",
        Ok(v1::Mode::Unspecified) | Err(prost::UnknownEnumValue(_)) => "unknown",
    }
}

fn books(books: &v1::RingBooks) -> Value {
    json!({
        "generated": books.generated,
        "delivered": books.delivered,
        "lost": books.lost,
        "throttled": books.throttled,
    })
}
