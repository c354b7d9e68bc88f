//! A configuration that is read again while runs live.

use super::*;
use crate::runs::DISCOVERED;

const ENFORCED: &str = "agents: [{name: agent, mode: enforce}]";

#[test]
fn a_run_under_way_is_enforced_once_its_agent_is() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    bomb(&sensor.world, pid);
    sensor.until("it is found", |sensor| !sensor.outcomes().is_empty());
    assert!(sensor.outcomes().iter().all(|(_, result)| result == "would apply"));
    sensor.configure(&format!("detect: {{cool_down_ms: 2000}}\n{ENFORCED}"));
    sensor.until("it is ended", |sensor| sensor.is_over(&run));
    assert_eq!(sensor.stored(&run).mode(), v1::Mode::Enforce);
    let applied = |action| sensor.outcomes().contains(&(action, "applied".to_owned()));
    assert!(applied(v1::Action::Freeze) && applied(v1::Action::Kill), "{:?}", sensor.outcomes());
}

#[test]
fn a_run_under_way_is_held_against_other_thresholds() {
    let mut sensor = Sensor::new();
    let (_run, pid) = sensor.run(Mode::Observe);
    sensor.configure("agents: [{name: agent, limits: {storm_net_processes: 500}}]");
    let burst = |sensor: &mut Sensor| {
        (0..100).for_each(|_| assert!(sensor.world.fork(pid).is_some()));
        sensor.ticks(Duration::from_secs(2));
    };
    burst(&mut sensor);
    assert_eq!(sensor.findings(), Vec::<String>::new());
    sensor.configure("");
    burst(&mut sensor);
    assert_eq!(sensor.findings(), ["spawn-storm"]);
}

#[test]
fn what_somebody_asked_to_be_enforced_stays_so() {
    let mut sensor = Sensor::new();
    let (asked, _pid) = sensor.run(Mode::Enforce);
    let (other, _pid) = sensor.run(Mode::Observe);
    sensor.configure(ENFORCED);
    assert_eq!([asked.mode(), other.mode()], [Mode::Enforce; 2]);
    sensor.configure("");
    assert_eq!([asked.mode(), other.mode()], [Mode::Enforce, Mode::Observe]);
}

#[test]
fn an_agent_that_is_known_by_a_name_alone_is_observed() {
    let sensor = Sensor::new();
    sensor.configure(ENFORCED);
    let selected_by = format!("{DISCOVERED}/usr/bin/agent is known as agent");
    let run = sensor.registry.start(Start { selected_by, ..start(Mode::Observe, 0) }).unwrap();
    assert_eq!(run.mode(), Mode::Observe);
    sensor.configure(&format!("discover: off\n{ENFORCED}"));
    assert_eq!(run.mode(), Mode::Observe);
}

#[test]
fn the_mark_of_a_run_has_the_mode_that_holds() {
    let mut sensor = Sensor::new();
    let (run, _pid) = sensor.run(Mode::Observe);
    let marked = || run.cgroup.mark().and_then(|mark| mark.mode);
    assert_eq!(marked(), Some(Mode::Observe));
    sensor.configure(ENFORCED);
    assert_eq!(marked(), Some(Mode::Enforce));
}

#[test]
fn what_changed_is_an_entry_of_the_ledger() {
    let mut sensor = Sensor::new();
    let (noted, mut done) = oneshot::channel();
    let change = sentry_view::ConfigChanged { needs_restart: vec!["rings".into()], ..Default::default() };
    sensor.cases.try_send(Case::Configured { change, noted }).unwrap();
    sensor.act();
    assert_eq!(done.try_recv(), Ok(()));
    assert_eq!(sensor.ledger(), ["config-changed"]);
}

#[test]
fn an_archive_that_was_made_is_an_entry_of_the_ledger() {
    let mut sensor = Sensor::new();
    let (noted, mut done) = oneshot::channel();
    let exported = sentry_view::Exported { run: "r".into(), ..Default::default() };
    sensor.cases.try_send(Case::Exported { exported, noted }).unwrap();
    sensor.act();
    assert_eq!((done.try_recv(), sensor.ledger()), (Ok(true), vec!["exported".to_owned()]));
}
