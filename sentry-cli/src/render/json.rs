//! JSON, one object per line: views, OCSF for events and findings, and what only the command line
//! shows: gaps and the sensor's status.

use std::{collections::HashMap, fs};

use sentry_proto::{
    convert,
    ocsf::{self, HostContext},
    v1,
};
use sentry_view::{Finding, Report};
use serde::Serialize;
use serde_json::{Value, json};

/// What OCSF objects say about their origin; from the sensor and, as the socket is local, from this
/// host.
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

    pub(crate) fn host(&self) -> &str {
        &self.host
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

    pub(crate) fn finding(&self, finding: &Finding) -> Value {
        ocsf::finding(finding, &self.of_run(&finding.run))
    }

    pub(crate) fn report(&self, report: &v1::Report) -> Report {
        convert::report(report, &self.context(None))
    }
}

/// One line. Views and values have text as the names of their members, so that it cannot fail.
pub(crate) fn line(view: &impl Serialize) -> String {
    format!("{}\n", json!(view))
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
    use crate::render::report::tests::wire;

    #[test]
    fn a_report_is_one_line_of_json_with_ocsf_findings() {
        let origin = Origin { sensor: "s".into(), version: "0.1.0".into(), ..Origin::default() };
        let text = line(&origin.report(&wire()));
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
        for value in [gap(&v1::Gap::default()), status(&v1::StatusReply::default())] {
            assert!(value["type"].is_string(), "{value}");
        }
    }
}
