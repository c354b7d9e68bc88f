//! A kernel that preempts programs leaves some out: a process whose birth or end nobody was told of.

use std::io::Write as _;

use sentry_tests::{
    procs, require,
    sensor::Sensor,
    story,
    supervised::{Order, Supervised},
    tables::Members,
    wait,
};

/// A shell that starts another and waits; the other executes `true` once its standard input ends. The process ids of both.
fn waiting<'a>(sensor: &'a Sensor, name: &str) -> (Supervised<'a>, u32, u32) {
    let file = sensor.place("pids");
    let inner = format!("echo $PPID $$ > {}; read line; exec /bin/true", file.display());
    let run =
        Order::new(sensor, name).with_stdin().start(&["/bin/sh", "-c", &format!("sh -c '{inner}'; exit 7")]);
    let pids = wait::file(&file);
    let pids: Vec<u32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    (run, pids[0], pids[1])
}

#[test]
fn a_run_is_over_although_an_end_was_not_told() {
    require!("root");
    let sensor = Sensor::start();
    let (mut run, _outer, inner) = waiting(&sensor, "unseen-end");
    let mut members = Members::of(sensor.pid());
    let [tag, start] = members.row(inner);
    let dead = procs::ended();
    members.leave(dead, [tag, start]);
    drop(run.stdin());
    let ended = run.wait();
    assert_eq!(ended.code(), Some(7));
    let report = ended.report();
    let count = |name: &str| report["run"]["counters"][name].as_u64().unwrap();
    assert_eq!((count("processes_entered"), count("processes_born")), (1, 1), "{report:#}");
    // The third is the one that nobody was told of, and the record says that it is not whole.
    assert_eq!(count("processes_ended"), 3, "{report:#}");
    assert_eq!((&report["run"]["untold"], &report["complete"]), (&1.into(), &false.into()), "{report:#}");
}

#[test]
fn a_member_whose_birth_was_not_told_is_one_again_when_it_executes() {
    require!("root");
    let sensor = Sensor::start();
    let (mut run, outer, inner) = waiting(&sensor, "unseen-birth");
    Members::of(sensor.pid()).forget(inner);
    run.stdin().write_all(b"go\n").unwrap();
    let ended = run.wait();
    assert_eq!(ended.code(), Some(7));
    let events = sensor.events(&ended.run);
    let of_inner = |event: &&serde_json::Value| event["process"]["pid"] == inner;
    let execs: Vec<_> = story::only(&events, "exec");
    let last = execs.iter().filter(|event| of_inner(event)).last().unwrap();
    assert_eq!(last["process"]["cmd_line"], "/bin/true", "{execs:#?}");
    assert_eq!(last["process"]["parent_process"]["pid"], outer, "{last:#}");
    assert_eq!(story::only(&events, "exit").iter().filter(|event| of_inner(event)).count(), 1);
    // Born twice, as the tables have it: the first time was struck out above.
    let counters = &ended.report()["run"]["counters"];
    assert_eq!(
        (&counters["processes_born"], &counters["processes_ended"]),
        (&2.into(), &2.into()),
        "{counters:#}"
    );
}
