//! Something for the ledger, on its way there.

use sentry_detect::{
    decision::{Decision, Outcome},
    finding::Finding,
};
use sentry_proto::v1;
use sentry_view::{ConfigChanged, Exported};

use super::{
    Entry, Ledger, LedgerError,
    record::{CONFIG_CHANGED, DECISION, EXPORTED, FINDING, GIVEN_UP, GivenUp, OUTCOME, RUN_END, RUN_START},
};

/// Something for the ledger.
pub enum Note {
    RunStarted(v1::Run),
    RunEnded(v1::Run),
    Finding(Finding),
    Decision(Decision),
    Outcome(Outcome),
    ConfigChanged(ConfigChanged),
    Exported(Exported),
    GivenUp(GivenUp),
}

impl Note {
    /// What is written instead of it.
    pub(super) fn given_up(&self, why: String) -> GivenUp {
        let (kind, run) = match self {
            Self::RunStarted(run) => (RUN_START, Some(&run.id)),
            Self::RunEnded(run) => (RUN_END, Some(&run.id)),
            Self::Finding(finding) => (FINDING, Some(&finding.run.0)),
            Self::Decision(decision) => (DECISION, Some(&decision.run.0)),
            Self::Outcome(outcome) => (OUTCOME, Some(&outcome.run.0)),
            Self::ConfigChanged(_) => (CONFIG_CHANGED, None),
            Self::Exported(exported) => (EXPORTED, Some(&exported.run)),
            Self::GivenUp(_) => (GIVEN_UP, None),
        };
        GivenUp { kind: Some(kind), run: run.cloned(), count: 1, why }
    }

    /// Appends it.
    pub(super) fn write(&self, ledger: &mut Ledger) -> Result<Entry, LedgerError> {
        match self {
            Self::RunStarted(run) => ledger.run_started(run),
            Self::RunEnded(run) => ledger.run_ended(run),
            Self::Finding(finding) => ledger.finding(finding),
            Self::Decision(decision) => ledger.decision(decision),
            Self::Outcome(outcome) => ledger.outcome(outcome),
            Self::ConfigChanged(change) => ledger.config_changed(change),
            Self::Exported(exported) => ledger.exported(exported),
            Self::GivenUp(given_up) => ledger.given_up(given_up),
        }
    }
}
