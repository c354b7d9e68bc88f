//! A run: what is shown of it while it lives and at its ends, and what may be missing.

use sentry_detect::completeness::{Books, Record};
use sentry_view::{
    Agent, Cgroup, Completeness, Container, Counters, Exact, Flow, Pod, RingBooks, Rings, Run, RunEnd,
    RunStart, RunType, time::rfc3339,
};

use super::{NS_PER_MS, endpoint::endpoint_text};
use crate::v1;

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
        Self::new(&run.counts(), run.findings)
    }
}

/// What a run's message says about its record; what a store has of it is not in there.
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

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
}
