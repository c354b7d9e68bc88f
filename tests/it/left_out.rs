//! A kernel that preempts programs leaves some out: a process whose birth or end no program
//! saw.

use sentry_tests::{
    procs, require,
    sensor::Sensor,
    story,
    supervised::{Order, Supervised},
    tables::Members,
    wait,
};
use serde_json::Value;

/// A shell that starts another and waits; the other goes on with `then` once its standard input
/// ends. The process ids of both.
fn waiting<'a>(sensor: &'a Sensor, name: &str, then: &str) -> (Supervised<'a>, u32, u32) {
    let file = sensor.place("pids");
    let inner = format!("echo $PPID $$ > {}; read line; {then}", file.display());
    let outer = format!("sh -c '{inner}'; exit 7");
    let run = Order::new(sensor, name).with_stdin().start(&["/bin/sh", "-c", &outer]);
    let pids = wait::file(&file);
    let pids: Vec<u32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    (run, pids[0], pids[1])
}

/// Processes that came to be in the run, by birth or from outside, and those that ended.
fn counts(report: &Value) -> (u64, u64) {
    let count = |name: &str| report["run"]["counters"][name].as_u64().unwrap();
    (count("processes_born") + count("processes_entered"), count("processes_ended"))
}

#[test]
fn a_run_is_over_although_an_end_was_not_told() {
    require!("root");
    let sensor = Sensor::start();
    let (mut run, _outer, inner) = waiting(&sensor, "unseen-end", "exec /bin/true");
    let mut members = Members::of(sensor.pid());
    let row = members.row(inner);
    members.leave(procs::ended(), row);
    drop(run.stdin());
    let ended = run.wait();
    assert_eq!(ended.code(), Some(7));
    let report = ended.report();
    // The third is the one that no program saw, and the record says that it is not whole.
    assert_eq!(counts(report), (2, 3), "{report:#}");
    assert_eq!((&report["run"]["untold"], &report["complete"]), (&1.into(), &false.into()), "{report:#}");
}

/// The events about a process.
fn told(events: &[Value], act: &str, pid: u32) -> Vec<Value> {
    story::only(events, act).into_iter().filter(|event| event["process"]["pid"] == pid).cloned().collect()
}

/// A run in which the inner shell's birth was not reported: its events, and the ids of both shells.
fn unseen_birth(name: &str, then: &str) -> (Vec<Value>, u32, u32) {
    let sensor = Sensor::start();
    let (mut run, outer, inner) = waiting(&sensor, name, then);
    Members::of(sensor.pid()).forget(inner);
    drop(run.stdin());
    let ended = run.wait();
    assert_eq!(ended.code(), Some(7));
    // Begun twice, as the tables have it: the first time was struck out above.
    assert_eq!(counts(ended.report()), (3, 2), "{:#}", ended.report());
    (sensor.events(&ended.run), outer, inner)
}

#[test]
fn a_member_whose_birth_was_not_told_is_one_again_when_it_executes() {
    require!("root");
    let (events, outer, inner) = unseen_birth("unseen-birth", "exec /bin/true");
    let execs = told(&events, "exec", inner);
    let last = execs.last().unwrap();
    assert_eq!(last["process"]["cmd_line"], "/bin/true", "{execs:#?}");
    assert_eq!(last["process"]["parent_process"]["pid"], outer, "{last:#}");
    assert_eq!(told(&events, "exit", inner).len(), 1);
}

#[test]
fn a_member_whose_birth_was_not_told_is_one_again_when_it_ends() {
    require!("root");
    let (events, outer, inner) = unseen_birth("unseen-life", "exit 3");
    let births = told(&events, "fork", inner);
    assert_eq!(births.len(), 2, "{births:#?}");
    assert!(births.iter().all(|birth| story::pid(birth) == outer), "{births:#?}");
    let ends = told(&events, "exit", inner);
    assert_eq!((ends.len(), &ends[0]["exit_code"]), (1, &3.into()), "{ends:#?}");
}
