//! Runs, decisions and outcomes → JSON: snake_case, enum values in lower case, times in Unix
//! milliseconds where the name ends in `_ms`, counts as numbers.

use prost::{DecodeError, Message as _};
use sentry_proto::{container, ocsf, v1};
use serde_json::{Value, json};

use crate::store::listed;

const NS_PER_MS: u64 = 1_000_000;

listed! {
    pub(crate) struct RunRow of "listed_runs" {
        pub(crate) sensor: String,
        host: String,
        body: Vec<u8>,
        updated_ms: i64,
        events_stored: i64,
        findings_stored: i64,
        /// Items of the run that gaps name as lost.
        lost_items: i64,
        /// Lost items, of this sensor while the run lived, of which nobody knows the run.
        lost_unnamed: i64,
        pruned: i64,
        /// The sensor lost its spool while the run lived.
        spool_lost: bool,
    }
}

pub(crate) fn decision(decision: &v1::Decision, sensor: &str) -> Value {
    json!({
        "id": decision.id,
        "run": decision.run,
        "sensor": sensor,
        "action": name(decision.action().as_str_name(), "ACTION_"),
        "mode": name(decision.mode().as_str_name(), "MODE_"),
        "finding": decision.finding,
        "origin": decision.origin,
        "reason": decision.reason,
        "time_ms": decision.time_unix_ns / NS_PER_MS,
    })
}

pub(crate) fn outcome(outcome: &v1::Outcome, sensor: &str) -> Value {
    let mut value = outcome_alone(outcome);
    value["sensor"] = json!(sensor);
    value
}

/// The outcome of a command, which names its sensor itself.
pub(crate) fn outcome_alone(outcome: &v1::Outcome) -> Value {
    json!({
        "decision": outcome.decision,
        "run": outcome.run,
        "action": name(outcome.action().as_str_name(), "ACTION_"),
        "result": name(outcome.result().as_str_name(), "RESULT_"),
        "why": outcome.why,
        "time_ms": outcome.time_unix_ns / NS_PER_MS,
        "took_ns": outcome.took_ns,
        "processes": outcome.processes,
        "survivors": outcome.survivors,
    })
}

pub(crate) fn run(row: &RunRow, connected: bool) -> Result<Value, DecodeError> {
    let run = v1::Run::decode(row.body.as_slice())?;
    Ok(json!({
        "id": run.id,
        "sensor": row.sensor,
        "sensor_connected": connected,
        "host": row.host,
        "agent": agent_of(run.agent.as_ref()),
        "state": name(run.state().as_str_name(), "RUN_STATE_"),
        "mode": name(run.mode().as_str_name(), "MODE_"),
        "command": run.command,
        "command_truncated": run.command_truncated,
        "selected_by": run.selected_by,
        "uid": run.uid,
        "cgroup": {"path": run.cgroup_path, "id": run.cgroup_id.to_string()},
        "container": run.container.as_ref().map(container::json),
        "started_ms": run.started_unix_ns / NS_PER_MS,
        "ended_ms": run.ended_unix_ns.map(|ns| ns / NS_PER_MS),
        "end_unseen": run.end_unseen,
        "updated_ms": row.updated_ms,
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
            "findings": run.findings,
        },
        "executed": run.executed.iter().map(ocsf::executed).collect::<Vec<_>>(),
        "executed_unlisted": run.executed_unlisted,
        "completeness": completeness(&run, row),
    }))
}

/// Whether "no finding" means that there was nothing: every way in which something of the run may be missing here.
fn completeness(run: &v1::Run, row: &RunRow) -> Value {
    let mut missing = Vec::new();
    let mut rings = serde_json::Map::new();
    for (ring, books) in [("critical", &run.critical), ("bulk", &run.bulk)] {
        let books = (*books).unwrap_or_default();
        if books.lost > 0 {
            missing.push(format!("the {ring} ring lost {} records", books.lost));
        }
        if books.throttled > 0 {
            missing.push(format!("the {ring} ring left out {} records of a flood", books.throttled));
        }
        let told = books.delivered.saturating_add(books.lost).saturating_add(books.throttled);
        if run.ended_unix_ns.is_some() && books.generated != told {
            missing.push(format!("the books of the {ring} ring do not close"));
        }
        let books = json!({
            "generated": books.generated,
            "delivered": books.delivered,
            "lost": books.lost,
            "throttled": books.throttled,
        });
        rings.insert(ring.to_owned(), books);
    }
    if run.interruptions > 0 {
        missing.push(format!("the sensor was away {} times while the run lived", run.interruptions));
    }
    if run.untold > 0 {
        missing.push(format!("{} acts could not be told", run.untold));
    }
    if run.skipped > 0 {
        missing.push(format!("the kernel left out {} calls of programs while the run lived", run.skipped));
    }
    if row.lost_items > 0 {
        missing.push(format!("{} items were lost between sensor and collector", row.lost_items));
    }
    if row.lost_unnamed > 0 {
        missing
            .push(format!("{} items of unknown runs were lost on this sensor meanwhile", row.lost_unnamed));
    }
    if row.pruned > 0 {
        missing.push(format!("{} items were removed to keep retention_bytes", row.pruned));
    }
    if row.spool_lost {
        missing.push("the sensor lost its spool while the run lived".to_owned());
    }
    json!({
        "complete": missing.is_empty(),
        "final": run.ended_unix_ns.is_some(),
        "missing": missing,
        "rings": rings,
        "events_stored": row.events_stored,
        "findings_stored": row.findings_stored,
        "lost_in_gaps": row.lost_items,
        "lost_in_unnamed_gaps": row.lost_unnamed,
        "pruned": row.pruned,
    })
}

fn agent_of(agent: Option<&v1::Agent>) -> Value {
    agent.map_or(Value::Null, |agent| json!({"id": agent.id, "name": agent.name}))
}

/// `ACTION_FREEZE` → `freeze`.
pub(crate) fn name(value: &str, prefix: &str) -> String {
    value.strip_prefix(prefix).unwrap_or(value).to_ascii_lowercase()
}
