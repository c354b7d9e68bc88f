//! What is not an event or a finding, as one JSON object per line with a `type`. Events and findings are OCSF.
//!
//! Times are RFC 3339 in UTC and, exact, Unix nanoseconds as a decimal string (many readers keep only 53 bits).

use std::{collections::HashMap, fs};

use sentry_proto::{
    container,
    ocsf::{self, HostContext},
    v1,
};
use sentry_view::time;
use serde_json::{Value, json};

use super::{finding::action, run as words};

/// What OCSF objects say about their origin; from the sensor and, as the socket is local, from this host.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    sensor: String,
    version: String,
    host: String,
    boot_id: String,
    /// Of each run that is known: the container it is in.
    containers: HashMap<String, Option<v1::Container>>,
}

impl Origin {
    pub(crate) fn of(status: &v1::StatusReply) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            sensor: status.sensor.clone(),
            version: status.version.clone(),
            host: read("/proc/sys/kernel/hostname"),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            containers: HashMap::new(),
        }
    }

    /// Whether the container of the run has been asked for.
    pub(crate) fn knows(&self, run: &str) -> bool {
        self.containers.contains_key(run)
    }

    /// Takes in the containers of `runs`. `asked`, if it is none of them, is in none that is known.
    pub(crate) fn learn(&mut self, runs: Vec<v1::Run>, asked: Option<&str>) {
        self.containers.extend(runs.into_iter().map(|run| (run.id, run.container)));
        if let Some(asked) = asked {
            self.containers.entry(asked.to_owned()).or_default();
        }
    }

    fn context<'a>(&'a self, container: Option<&'a v1::Container>) -> HostContext<'a> {
        HostContext {
            sensor: &self.sensor,
            version: &self.version,
            host: &self.host,
            boot_id: &self.boot_id,
            container,
        }
    }

    fn of_run(&self, run: &str) -> HostContext<'_> {
        self.context(self.containers.get(run).and_then(Option::as_ref))
    }

    pub(crate) fn event(&self, event: &v1::Event) -> Value {
        ocsf::event(event, &self.of_run(&event.run))
    }

    pub(crate) fn finding(&self, finding: &v1::Finding) -> Value {
        ocsf::finding(finding, &self.of_run(&finding.run))
    }

    pub(crate) fn report(&self, report: &v1::Report) -> Value {
        let tallies = |tallies: &[v1::Tally]| -> Vec<Value> {
            tallies.iter().map(|tally| json!({"what": tally.what, "count": tally.count})).collect()
        };
        let container = report.run.as_ref().and_then(|run| run.container.as_ref());
        let finding = |finding| ocsf::finding(finding, &self.context(container));
        json!({
            "type": "report",
            "run": report.run.as_ref().map(run),
            "programs": tallies(&report.programs),
            "executed": report.run.iter().flat_map(|run| &run.executed).map(ocsf::executed).collect::<Vec<_>>(),
            "executed_unlisted": report.run.as_ref().map_or(0, |run| run.executed_unlisted),
            "destinations": tallies(&report.destinations),
            "files_changed": tallies(&report.files_changed),
            "flows": report.run.iter().flat_map(|run| &run.flows).map(flow).collect::<Vec<_>>(),
            "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
            "outcomes": report.outcomes.iter().map(outcome).collect::<Vec<_>>(),
            "complete": report.complete,
            "limits": report.limits,
        })
    }
}

/// One line.
pub(crate) fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// `remote` is null in the row of the rest.
fn flow(flow: &v1::Flow) -> Value {
    json!({
        "remote": flow.remote.as_ref().map(|remote| super::event::endpoint(Some(remote))),
        "packets_out": flow.packets_out,
        "bytes_out": flow.bytes_out,
        "packets_in": flow.packets_in,
        "bytes_in": flow.bytes_in,
    })
}

pub(crate) fn run(run: &v1::Run) -> Value {
    let books =
        |books: Option<v1::RingBooks>| {
            books.map(|b| json!({
            "generated": b.generated, "delivered": b.delivered, "lost": b.lost, "throttled": b.throttled,
        }))
        };
    json!({
        "type": "run",
        "id": run.id,
        "agent": run.agent.as_ref().map(|agent| json!({"id": agent.id, "name": agent.name})),
        "state": words::state(run.state()),
        "mode": words::mode(run.mode()),
        "cgroup": {"path": run.cgroup_path, "id": run.cgroup_id.to_string()},
        "container": run.container.as_ref().map(container::json),
        "started": time::rfc3339(run.started_unix_ns),
        "started_unix_ns": run.started_unix_ns.to_string(),
        "ended": run.ended_unix_ns.map(time::rfc3339),
        "ended_unix_ns": run.ended_unix_ns.map(|ns| ns.to_string()),
        "end_unseen": run.end_unseen,
        "uid": run.uid,
        "command": run.command,
        "command_truncated": run.command_truncated,
        "selected_by": run.selected_by,
        "findings": run.findings,
        "rings": {"critical": books(run.critical), "bulk": books(run.bulk)},
        "interruptions": run.interruptions,
        "untold": run.untold,
        "skipped": run.skipped,
        "counters": {
            "execs": run.execs,
            "processes_born": run.processes_born,
            "processes_entered": run.processes_entered,
            "processes_ended": run.processes_ended,
            "connects": run.connects,
            "sends": run.sends,
            "opens": run.opens,
            "opens_for_write": run.opens_for_write,
            "creates": run.creates,
            "unlinks": run.unlinks,
            "renames": run.renames,
            "cgroup_moves": run.cgroup_moves,
        },
    })
}

pub(crate) fn decision(decision: &v1::Decision) -> Value {
    json!({
        "type": "decision",
        "id": decision.id,
        "run": decision.run,
        "action": action(decision.action()),
        "mode": words::mode(decision.mode()),
        "finding": decision.finding,
        "origin": decision.origin,
        "reason": decision.reason,
        "time": time::rfc3339(decision.time_unix_ns),
        "time_unix_ns": decision.time_unix_ns.to_string(),
    })
}

pub(crate) fn outcome(outcome: &v1::Outcome) -> Value {
    use v1::outcome::Result as Kind;
    let result = match outcome.result() {
        Kind::Unspecified => "unknown",
        Kind::Applied => "applied",
        Kind::WouldApply => "would_apply",
        Kind::Refused => "refused",
        Kind::Failed => "failed",
    };
    json!({
        "type": "outcome",
        "decision": outcome.decision,
        "run": outcome.run,
        "action": action(outcome.action()),
        "result": result,
        "why": outcome.why,
        "time": time::rfc3339(outcome.time_unix_ns),
        "time_unix_ns": outcome.time_unix_ns.to_string(),
        "took_ns": outcome.took_ns,
        "processes": outcome.processes,
        "survivors": outcome.survivors,
    })
}

pub(crate) fn gap(gap: &v1::Gap) -> Value {
    json!({
        "type": "gap",
        "first": gap.first.to_string(),
        "last": gap.last.to_string(),
        "reason": gap.reason,
        "items_by_run": gap.items_by_run,
    })
}

pub(crate) fn status(status: &v1::StatusReply) -> Value {
    let stages: Vec<Value> = status
        .stages
        .iter()
        .map(|s| json!({"name": s.name, "alive": s.alive, "handled": s.handled, "lost": s.lost}))
        .collect();
    let unwatched: Vec<Value> = status
        .unwatched
        .iter()
        .map(|a| json!({"agent": a.agent, "pid": a.pid, "uid": a.uid, "cgroup_path": a.cgroup_path}))
        .collect();
    json!({
        "type": "status",
        "health": status.health,
        "live": status.live,
        "ready": status.ready,
        "sensor": status.sensor,
        "version": status.version,
        "tier": status.tier,
        "epoch": status.epoch,
        "collector": status.collector,
        "spooled_items": status.spooled_items,
        "acked_seq": status.acked_seq,
        "last_seq": status.last_seq,
        "stages": stages,
        "faults": status.faults,
        "ring": {"records": status.ring_records, "wakeups": status.ring_wakeups},
        "limits": status.limits,
        "unwatched": unwatched,
        "selected_late": status.selected_late,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::render::report::tests::report;

    #[test]
    fn a_report_is_one_line_of_json_with_ocsf_findings() {
        let origin = Origin { sensor: "s".into(), version: "0.1.0".into(), ..Origin::default() };
        let text = line(&origin.report(&report()));
        assert_eq!(text.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["findings"][0]["class_uid"], 2004);
        sentry_proto::ocsf::check(&value["findings"][0]).unwrap();
        assert_eq!(value["run"]["started_unix_ns"], "1000000000");
        assert_eq!(value["outcomes"][0]["result"], "applied");
        assert_eq!(value["complete"], false);
    }

    #[test]
    fn empty_messages_render() {
        for value in [
            run(&v1::Run::default()),
            decision(&v1::Decision::default()),
            outcome(&v1::Outcome::default()),
            gap(&v1::Gap::default()),
            status(&v1::StatusReply::default()),
        ] {
            assert!(value["type"].is_string(), "{value}");
        }
    }
}
