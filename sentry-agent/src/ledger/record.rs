//! What goes into the ledger, by kind.

use sentry_detect::{
    decision::{Decision, Outcome},
    finding::Finding,
};
use sentry_proto::v1;
use sentry_view::{ConfigChanged, Exported, RunEnd, RunStart};
use serde::Serialize;
use serde_json::json;

use super::{Entry, Ledger, LedgerError, now_unix_ns};

pub(super) const RUN_START: &str = "run-start";
pub(super) const RUN_END: &str = "run-end";
pub(super) const FINDING: &str = "finding";
pub(super) const DECISION: &str = "decision";
pub(super) const OUTCOME: &str = "outcome";
pub(super) const CONFIG_CHANGED: &str = "config-changed";
/// Kind of the entry that records an archive of a run.
pub const EXPORTED: &str = "exported";
pub(super) const GIVEN_UP: &str = "given-up";

/// Stands for entries that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Kind of the entry; `None` where they were several.
    pub kind: Option<&'static str>,
    pub run: Option<String>,
    pub count: u64,
    pub why: String,
}

impl Ledger {
    /// A run began, kind `run-start`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn run_started(&mut self, run: &v1::Run) -> Result<Entry, LedgerError> {
        self.append_value(RUN_START, &RunStart::from(run), run.started_unix_ns)
    }

    /// A run ended, kind `run-end`: its totals, the books of its rings and what is missing.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn run_ended(&mut self, run: &v1::Run) -> Result<Entry, LedgerError> {
        self.append_value(RUN_END, &RunEnd::from(run), run.ended_unix_ns.unwrap_or(run.started_unix_ns))
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

    /// The outcome of a decision, kind `outcome`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn outcome(&mut self, outcome: &Outcome) -> Result<Entry, LedgerError> {
        self.append_value(OUTCOME, outcome, outcome.time_unix_ns)
    }

    /// The configuration was read again and something of it changed, kind `config-changed`.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn config_changed(&mut self, change: &ConfigChanged) -> Result<Entry, LedgerError> {
        self.append_value(CONFIG_CHANGED, change, now_unix_ns())
    }

    /// An archive of a run was made, kind `exported`: whoever has the archive can compare.
    ///
    /// # Errors
    ///
    /// See [`Ledger::append`].
    pub fn exported(&mut self, exported: &Exported) -> Result<Entry, LedgerError> {
        self.append_value(EXPORTED, exported, now_unix_ns())
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
