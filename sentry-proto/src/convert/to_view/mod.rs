//! Wire → view. Total: a number that this version does not know is `unknown`.

mod endpoint;

mod number;

mod run;

mod standing;

use sentry_view::{
    Agent, ConfigReload, ConfigReloadType, Decision, DecisionType, Exact, Finding, FindingType, KeyChange,
    Outcome, OutcomeType, Tally, Term, time::rfc3339,
};

pub use endpoint::endpoint_text;
pub use run::completeness;

use crate::v1;

const NS_PER_MS: u64 = 1_000_000;

impl From<&v1::Agent> for Agent {
    fn from(agent: &v1::Agent) -> Self {
        Self { id: agent.id.clone(), name: agent.name.clone() }
    }
}

impl From<&v1::Finding> for Finding {
    fn from(finding: &v1::Finding) -> Self {
        Self {
            of: FindingType::Finding,
            id: finding.id.clone(),
            run: finding.run.clone(),
            agent: finding.agent.as_ref().map(Agent::from),
            time: rfc3339(finding.time_unix_ns),
            time_unix_ns: Exact(finding.time_unix_ns),
            time_ms: finding.time_unix_ns / NS_PER_MS,
            since_unix_ns: Exact(finding.since_unix_ns),
            rule: finding.rule.clone(),
            severity: finding.severity().into(),
            confidence: finding.confidence,
            summary: finding.summary.clone(),
            arithmetic: finding.arithmetic.iter().map(Term::from).collect(),
            evidence: finding.evidence.clone(),
            tags: finding.tags.clone(),
            complete: finding.complete,
        }
    }
}

impl From<&v1::Term> for Term {
    fn from(term: &v1::Term) -> Self {
        Self { name: term.name.clone(), value: term.value, unit: term.unit.clone(), limit: term.limit }
    }
}

impl From<&v1::Decision> for Decision {
    fn from(decision: &v1::Decision) -> Self {
        Self {
            of: DecisionType::Decision,
            id: decision.id.clone(),
            run: decision.run.clone(),
            action: decision.action().into(),
            mode: decision.mode().into(),
            finding: decision.finding.clone(),
            origin: decision.origin.clone(),
            reason: decision.reason.clone(),
            time: rfc3339(decision.time_unix_ns),
            time_unix_ns: Exact(decision.time_unix_ns),
            time_ms: decision.time_unix_ns / NS_PER_MS,
        }
    }
}

impl From<&v1::Outcome> for Outcome {
    fn from(outcome: &v1::Outcome) -> Self {
        Self {
            of: OutcomeType::Outcome,
            decision: outcome.decision.clone(),
            run: outcome.run.clone(),
            action: outcome.action().into(),
            result: outcome.result().into(),
            why: outcome.why.clone(),
            time: rfc3339(outcome.time_unix_ns),
            time_unix_ns: Exact(outcome.time_unix_ns),
            time_ms: outcome.time_unix_ns / NS_PER_MS,
            took_ns: outcome.took_ns,
            processes: outcome.processes,
            survivors: outcome.survivors,
        }
    }
}

impl From<&v1::Tally> for Tally {
    fn from(tally: &v1::Tally) -> Self {
        Self { what: tally.what.clone(), count: tally.count }
    }
}

impl From<v1::ReloadReply> for ConfigReload {
    fn from(reply: v1::ReloadReply) -> Self {
        let v1::ReloadReply { changed, needs_restart, errors } = reply;
        let changed = changed.into_iter().map(KeyChange::from).collect();
        Self { of: ConfigReloadType::ConfigReload, changed, needs_restart, errors }
    }
}

impl From<v1::KeyChange> for KeyChange {
    fn from(change: v1::KeyChange) -> Self {
        let v1::KeyChange { key, before, after } = change;
        Self { key, before, after }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_view::Run;
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_messages_are_views_of_their_type() {
        let types = [
            serde_json::to_value(Run::from(&v1::Run::default())).unwrap(),
            serde_json::to_value(Finding::from(&v1::Finding::default())).unwrap(),
            serde_json::to_value(Decision::from(&v1::Decision::default())).unwrap(),
            serde_json::to_value(Outcome::from(&v1::Outcome::default())).unwrap(),
        ]
        .map(|view| view["type"].clone());
        assert_eq!(types, ["run", "finding", "decision", "outcome"].map(|name| json!(name)));
    }
}
