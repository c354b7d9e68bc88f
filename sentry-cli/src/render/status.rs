//! The sensor's state, and what a kernel lets it see.

use std::path::PathBuf;

use sentry_kernel::bpf::{Capabilities, Costs};
use sentry_proto::v1;

use super::{
    BOLD, DIM, GREEN, RED, YELLOW, paint, safe,
    table::{Table, cell},
};
use sentry_agent::container::{Rung, Sources};

/// What `StatusReply.health` says when all is well.
pub(crate) const SERVING: &str = "serving";

pub(crate) fn health(status: &v1::StatusReply) -> String {
    let good = status.health == SERVING;
    let mut out = format!(
        "{} {}\n  sensor {} {}, tier {}\n",
        paint(BOLD, "Sensor"),
        paint(if good { GREEN } else { RED }, &safe(&status.health)),
        safe(&status.sensor),
        safe(&status.version),
        safe(&status.tier),
    );
    match &status.collector {
        Some(collector) => out.push_str(&format!(
            "  collector {}: {} of {} items acknowledged, {} waiting\n",
            safe(collector),
            status.acked_seq,
            status.last_seq,
            status.spooled_items
        )),
        None => out.push_str(&format!("  {}\n", paint(DIM, "no collector"))),
    }
    if !status.stages.is_empty() {
        let mut table = Table::new(&["  STAGE", "STATE", "HANDLED", "LOST"]);
        for stage in &status.stages {
            let state = if stage.alive { ("alive".into(), GREEN) } else { ("dead".into(), RED) };
            table.row(vec![
                cell(format!("  {}", safe(&stage.name))),
                state,
                cell(stage.handled.to_string()),
                (stage.lost.to_string(), if stage.lost > 0 { RED } else { DIM }),
            ]);
        }
        out.push_str(&table.render());
    }
    let mut faults: Vec<_> = status.faults.iter().filter(|(_, count)| **count > 0).collect();
    faults.sort();
    for (fault, count) in faults {
        out.push_str(&format!("  {}  {} ×{count}\n", paint(RED, "Kernel-side fault"), safe(fault)));
    }
    out.push_str(&super::report::limits(&status.limits));
    out
}

pub(crate) fn doctor(capabilities: &Capabilities) -> String {
    let mut out = format!("Kernel {}: tier {}\n", safe(&capabilities.kernel), paint(BOLD, capabilities.tier));
    let mut table = Table::new(&["FACT", "SEEN", "BY", "LOST"]);
    for fact in &capabilities.facts {
        table.row(vec![
            cell(fact.fact),
            if fact.seen { ("yes".into(), GREEN) } else { ("no".into(), RED) },
            cell(safe(&fact.hook)),
            cell(fact.lost.as_deref().unwrap_or("")),
        ]);
    }
    out.push_str(&table.render());
    for limit in &capabilities.limits {
        out.push_str(&format!("{}  {}\n", paint(YELLOW, "Limit"), safe(limit)));
    }
    out
}

/// What names the containers of runs here.
pub(crate) fn containers(sources: &Sources) -> String {
    let list = |paths: &[PathBuf]| {
        let paths: Vec<String> = paths.iter().map(|path| safe(&path.display().to_string())).collect();
        paths.join(", ")
    };
    let title = paint(BOLD, "Containers");
    let mut out = match sources.rung() {
        Rung::Path => format!(
            "{title}  known by id alone, from the cgroup's path: there is none of {}; mount that of this \
             host's engine, read-only, for names and images\n",
            list(&sources.absent)
        ),
        _ => format!("{title}  named by files in {}\n", list(&sources.engines)),
    };
    if let Some(socket) = &sources.kubelet {
        let socket = safe(&socket.display().to_string());
        out.push_str(&format!("{title}  labels of pods: set `containers.kubelet: unix:{socket}`\n"));
    }
    out
}

pub(crate) fn costs(costs: &Costs) -> String {
    let mut out = format!(
        "Kernel {}: tier {}, loaded in {} ms, attached in {} ms\n",
        safe(&costs.kernel),
        paint(BOLD, costs.tier),
        costs.load_ms,
        costs.attach_ms,
    );
    let mut objects = Table::new(&["OBJECT", "LOADED IN"]);
    for object in &costs.objects {
        objects.row(vec![cell(object.object), cell(format!("{} ms", object.load_ms))]);
    }
    let mut programs = Table::new(&["OBJECT", "PROGRAM", "HOOK", "VERIFIED INSTRUCTIONS"]);
    for program in &costs.programs {
        programs.row(vec![
            cell(program.object),
            cell(program.program),
            cell(safe(&program.hook)),
            cell(program.verified.map_or_else(|| "not reported".to_owned(), |count| count.to_string())),
        ]);
    }
    out.push_str(&objects.render());
    out.push_str(&programs.render());
    for missing in &costs.missing {
        out.push_str(&format!(
            "{}  {}: {}\n",
            paint(YELLOW, "Missing"),
            safe(&missing.hook),
            safe(&missing.why)
        ));
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::out::plain;

    #[test]
    fn golden_health() {
        let stage = |name: &str, alive, lost| v1::StageStatus { name: name.into(), alive, handled: 7, lost };
        let status = v1::StatusReply {
            version: "0.1.0".into(),
            tier: "C".into(),
            health: "stage export is dead".into(),
            sensor: "host-1".into(),
            stages: vec![stage("ring", true, 0), stage("export", false, 2)],
            collector: Some("http://127.0.0.1:4319".into()),
            spooled_items: 3,
            acked_seq: 4,
            last_seq: 7,
            faults: [("exec:read".to_owned(), 2), ("none".to_owned(), 0)].into(),
            ..v1::StatusReply::default()
        };
        assert_eq!(
            plain(&health(&status)).unwrap(),
            "Sensor stage export is dead
  sensor host-1 0.1.0, tier C
  collector http://127.0.0.1:4319: 4 of 7 items acknowledged, 3 waiting
  STAGE   STATE  HANDLED  LOST
  ring    alive  7        0
  export  dead   7        2
  Kernel-side fault  exec:read ×2
"
        );
    }

    #[test]
    fn the_doctor_says_what_names_containers_here() {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let none = Sources { absent: paths(&["/a", "/b"]), ..Sources::default() };
        let text = plain(&containers(&none)).unwrap();
        assert_eq!(
            text,
            "Containers  known by id alone, from the cgroup's path: there is none of /a, /b; mount that of \
             this host's engine, read-only, for names and images\n"
        );
        let some = Sources { engines: paths(&["/a"]), kubelet: Some("/p.sock".into()), ..none };
        assert_eq!(
            plain(&containers(&some)).unwrap(),
            "Containers  named by files in /a\n\
             Containers  labels of pods: set `containers.kubelet: unix:/p.sock`\n"
        );
    }
}
