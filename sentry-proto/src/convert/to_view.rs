//! Wire → view. Total: a number that this version does not know is `unknown`.

use std::net::IpAddr;

use sentry_detect::completeness::{Books, Record};
use sentry_view::{
    Action, Agent, Cgroup, Completeness, Container, Counters, Decision, DecisionType, Exact, Finding,
    FindingType, Flow, Mode, Outcome, OutcomeResult, OutcomeType, Pod, RingBooks, Rings, Run, RunEnd,
    RunStart, RunState, RunType, Severity, Tally, Term, time::rfc3339,
};

use crate::v1;

const NS_PER_MS: u64 = 1_000_000;

impl From<&v1::Run> for Run {
    fn from(run: &v1::Run) -> Self {
        Self {
            of: RunType::Run,
            id: run.id.clone(),
            agent: run.agent.as_ref().map(Agent::from),
            state: run.state().into(),
            mode: run.mode().into(),
            cgroup: Cgroup { path: run.cgroup_path.clone(), id: Exact(run.cgroup_id) },
            container: run.container.as_ref().map(Container::from),
            started: rfc3339(run.started_unix_ns),
            started_unix_ns: Exact(run.started_unix_ns),
            started_ms: run.started_unix_ns / NS_PER_MS,
            ended: run.ended_unix_ns.map(rfc3339),
            ended_unix_ns: run.ended_unix_ns.map(Exact),
            ended_ms: run.ended_unix_ns.map(|ns| ns / NS_PER_MS),
            end_unseen: run.end_unseen,
            uid: run.uid,
            command: run.command.clone(),
            command_truncated: run.command_truncated,
            selected_by: run.selected_by.clone(),
            findings: run.findings,
            rings: Rings { critical: run.critical.map(Into::into), bulk: run.bulk.map(Into::into) },
            interruptions: run.interruptions,
            untold: run.untold,
            skipped: run.skipped,
            counters: run.into(),
            flows: run.flows.iter().map(Flow::from).collect(),
            executed: run.executed.iter().map(Into::into).collect(),
            executed_unlisted: run.executed_unlisted,
            completeness: completeness(&Record::from(run)),
        }
    }
}

impl From<&v1::Run> for RunStart {
    fn from(run: &v1::Run) -> Self {
        Self {
            run: run.id.clone(),
            agent: run.agent.as_ref().map(Agent::from),
            mode: run.mode().into(),
            uid: run.uid,
            command: run.command.clone(),
            command_truncated: run.command_truncated,
            cgroup_path: run.cgroup_path.clone(),
            cgroup_id: run.cgroup_id,
            container: run.container.as_ref().map(Container::from),
            selected_by: run.selected_by.clone(),
        }
    }
}

impl From<&v1::Run> for RunEnd {
    fn from(run: &v1::Run) -> Self {
        let Completeness { complete, missing, .. } = completeness(&Record::from(run));
        Self {
            run: run.id.clone(),
            critical: run.critical.map(Into::into),
            bulk: run.bulk.map(Into::into),
            counters: run.into(),
            end_unseen: run.end_unseen,
            interruptions: run.interruptions,
            untold: run.untold,
            skipped: run.skipped,
            complete,
            missing,
            flows: run.flows.iter().map(Flow::from).collect(),
            executed_unlisted: run.executed_unlisted,
        }
    }
}

impl From<&v1::Run> for Counters {
    fn from(run: &v1::Run) -> Self {
        Self {
            execs: run.execs,
            processes_born: run.processes_born,
            processes_entered: run.processes_entered,
            processes_ended: run.processes_ended,
            connects: run.connects,
            sends: run.sends,
            opens: run.opens,
            opens_for_write: run.opens_for_write,
            creates: run.creates,
            unlinks: run.unlinks,
            renames: run.renames,
            cgroup_moves: run.cgroup_moves,
            findings: run.findings,
        }
    }
}

/// What a run's message says of its record; what became of it in a store is not in there.
impl From<&v1::Run> for Record {
    fn from(run: &v1::Run) -> Self {
        Self {
            critical: run.critical.unwrap_or_default().into(),
            bulk: run.bulk.unwrap_or_default().into(),
            ended: run.ended_unix_ns.is_some(),
            interruptions: run.interruptions.into(),
            without_record: run.untold,
            skipped: run.skipped,
            ..Self::default()
        }
    }
}

/// The books as they are, and each thing that is missing as a sentence.
#[must_use]
pub fn completeness(record: &Record) -> Completeness {
    let books = |books: Books| {
        let Books { generated, delivered, lost, throttled } = books;
        RingBooks { generated, delivered, lost, throttled }
    };
    Completeness {
        complete: record.is_complete(),
        is_final: record.ended,
        missing: record.missing().map(|missing| missing.to_string()).collect(),
        rings: Rings { critical: books(record.critical), bulk: books(record.bulk) },
        stored: None,
    }
}

impl From<v1::RingBooks> for Books {
    fn from(books: v1::RingBooks) -> Self {
        let v1::RingBooks { generated, delivered, lost, throttled } = books;
        Self { generated, delivered, lost, throttled }
    }
}

impl From<v1::RingBooks> for RingBooks {
    fn from(books: v1::RingBooks) -> Self {
        let v1::RingBooks { generated, delivered, lost, throttled } = books;
        Self { generated, delivered, lost, throttled }
    }
}

impl From<&v1::Agent> for Agent {
    fn from(agent: &v1::Agent) -> Self {
        Self { id: agent.id.clone(), name: agent.name.clone() }
    }
}

impl From<&v1::Container> for Container {
    fn from(container: &v1::Container) -> Self {
        let v1::Container { engine, id, name, image, image_digest, pod, node, runtime, rung, sandboxed } =
            container;
        Self {
            engine: engine.clone(),
            id: known(id),
            name: known(name),
            image: known(image),
            image_digest: known(image_digest),
            pod: pod.as_ref().map(|pod| Pod {
                uid: pod.uid.clone(),
                name: known(&pod.name),
                namespace: known(&pod.namespace),
                service_account: known(&pod.service_account),
            }),
            node: known(node),
            runtime: known(runtime),
            rung: rung.clone(),
            sandboxed: known(sandboxed),
        }
    }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl From<&v1::Flow> for Flow {
    fn from(flow: &v1::Flow) -> Self {
        Self {
            remote: flow.remote.as_ref().map(|remote| endpoint_text(Some(remote))),
            packets_out: flow.packets_out,
            bytes_out: flow.bytes_out,
            packets_in: flow.packets_in,
            bytes_in: flow.bytes_in,
        }
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

impl From<v1::RunState> for RunState {
    fn from(state: v1::RunState) -> Self {
        match state {
            v1::RunState::Unspecified => Self::Unknown,
            v1::RunState::Running => Self::Running,
            v1::RunState::Frozen => Self::Frozen,
            v1::RunState::Ended => Self::Ended,
        }
    }
}

impl From<v1::Mode> for Mode {
    fn from(mode: v1::Mode) -> Self {
        match mode {
            v1::Mode::Unspecified => Self::Unknown,
            v1::Mode::Observe => Self::Observe,
            v1::Mode::Enforce => Self::Enforce,
        }
    }
}

impl From<v1::Action> for Action {
    fn from(action: v1::Action) -> Self {
        match action {
            v1::Action::Unspecified => Self::Unknown,
            v1::Action::Observe => Self::Observe,
            v1::Action::Freeze => Self::Freeze,
            v1::Action::Thaw => Self::Thaw,
            v1::Action::Kill => Self::Kill,
            v1::Action::Restart => Self::Restart,
        }
    }
}

impl From<v1::outcome::Result> for OutcomeResult {
    fn from(result: v1::outcome::Result) -> Self {
        match result {
            v1::outcome::Result::Unspecified => Self::Unknown,
            v1::outcome::Result::Applied => Self::Applied,
            v1::outcome::Result::WouldApply => Self::WouldApply,
            v1::outcome::Result::Refused => Self::Refused,
            v1::outcome::Result::Failed => Self::Failed,
        }
    }
}

impl From<v1::Severity> for Severity {
    fn from(severity: v1::Severity) -> Self {
        match severity {
            v1::Severity::Unspecified => Self::Unknown,
            v1::Severity::Informational => Self::Informational,
            v1::Severity::Low => Self::Low,
            v1::Severity::Medium => Self::Medium,
            v1::Severity::High => Self::High,
            v1::Severity::Critical => Self::Critical,
        }
    }
}

/// `192.0.2.1:443 tcp`; `?` for what is not known.
#[must_use]
pub fn endpoint_text(endpoint: Option<&v1::Endpoint>) -> String {
    let Some(endpoint) = endpoint else { return "?".into() };
    let address = if let Ok(v4) = <[u8; 4]>::try_from(endpoint.address.as_slice()) {
        IpAddr::from(v4).to_string()
    } else if let Ok(v6) = <[u8; 16]>::try_from(endpoint.address.as_slice()) {
        format!("[{}]", IpAddr::from(v6))
    } else {
        "?".into()
    };
    let protocol = match endpoint.protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "ipv6-icmp".into(),
        other => format!("protocol {other}"),
    };
    // Few protocols have ports.
    let port = if endpoint.port == 0 { String::new() } else { format!(":{}", endpoint.port) };
    format!("{address}{port} {protocol}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
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

    #[test]
    fn a_run_that_ended_has_its_books_and_what_is_missing_in_the_ledger() {
        let run = v1::Run {
            id: "r".into(),
            critical: Some(v1::RingBooks { generated: 3, delivered: 2, lost: 1, throttled: 0 }),
            ended_unix_ns: Some(7),
            untold: 4,
            skipped: 5,
            interruptions: 6,
            findings: 2,
            execs: 1,
            flows: vec![v1::Flow { bytes_out: 9, ..v1::Flow::default() }],
            ..v1::Run::default()
        };
        let zero = json!({ "generated": 0, "delivered": 0, "lost": 0, "throttled": 0 });
        assert_eq!(
            serde_json::to_value(RunEnd::from(&run)).unwrap(),
            json!({
                "run": "r",
                "critical": { "generated": 3, "delivered": 2, "lost": 1, "throttled": 0 },
                "bulk": null,
                "execs": 1, "processes_born": 0, "processes_entered": 0, "processes_ended": 0,
                "connects": 0, "sends": 0, "opens": 0, "opens_for_write": 0, "creates": 0,
                "unlinks": 0, "renames": 0, "cgroup_moves": 0, "findings": 2,
                "end_unseen": false, "interruptions": 6, "untold": 4, "skipped": 5,
                "complete": false,
                "missing": [
                    "the critical ring lost 1 records",
                    "the sensor was away 6 times while the run lived",
                    "4 acts have no record",
                    "the kernel left out 5 calls of programs while the run lived",
                ],
                "flows": [
                    { "remote": null, "packets_out": 0, "bytes_out": 9, "packets_in": 0, "bytes_in": 0 }
                ],
                "executed_unlisted": 0,
            })
        );
        let view = serde_json::to_value(Run::from(&run)).unwrap();
        assert_eq!(view["rings"]["bulk"], json!(null));
        assert_eq!(view["completeness"]["rings"]["bulk"], zero);
        assert_eq!(view["counters"]["findings"], 2);
    }

    #[test]
    fn an_endpoint_has_a_port_where_its_protocol_has() {
        let endpoint = |address: &[u8], port, protocol| {
            endpoint_text(Some(&v1::Endpoint { address: address.to_vec(), port, protocol }))
        };
        assert_eq!(endpoint(&[192, 0, 2, 1], 443, 6), "192.0.2.1:443 tcp");
        assert_eq!(endpoint(&[192, 0, 2, 1], 0, 1), "192.0.2.1 icmp");
        assert_eq!(endpoint(&[0; 16], 53, 17), "[::]:53 udp");
        assert_eq!(endpoint(&[1], 1, 132), "?:1 protocol 132");
        assert_eq!(endpoint_text(None), "?");
    }
}
