//! What a person does with runs: freeze, thaw, tag, untag.

use std::{fs, path::Path};

use sentry_tests::{
    cgroup::TestCgroup,
    procs,
    programs::{self, Gathered},
    require,
    sensor::Sensor,
    story,
    supervised::Order,
    wait,
};

use crate::workload;

/// The counter grows beyond `before`.
fn counts_on(file: &Path, before: u64) -> u64 {
    wait::until("the counter grows", || {
        let number = count(file);
        if number > before { Ok(number) } else { Err(format!("it is at {number}")) }
    })
}

fn count(file: &Path) -> u64 {
    wait::file(file).parse().unwrap()
}

#[test]
fn a_frozen_run_stands_still_until_it_is_thawed() {
    require!("root");
    let sensor = Sensor::start();
    let file = sensor.scratch().join("number");
    let run = Order::new(&sensor, "counter").start(&workload("workload_count", &[file.to_str().unwrap()]));
    let id = run.run();
    let group = sentry_tests::cgroup::mount().join("agentsentry").join(&id);
    let frozen = || fs::read_to_string(group.join("cgroup.events")).unwrap().contains("frozen 1");
    counts_on(&file, 0);

    let told = sensor.json(&["freeze", "counter", "--reason", "a look"]);
    let stopped_at = count(&file);
    assert_eq!((&told[0]["action"], &told[0]["reason"]), (&"freeze".into(), &"a look".into()));
    assert_eq!((&told[1]["result"], &told[1]["processes"]), (&"applied".into(), &1.into()));
    assert!(frozen());
    assert_eq!(sensor.state_of(&id)["state"], "frozen");
    // Each question takes longer than a count.
    assert_eq!(count(&file), stopped_at);

    let told = sensor.json(&["thaw", "counter"]);
    assert_eq!(told[1]["result"], "applied");
    assert!(!frozen());
    counts_on(&file, stopped_at);
    assert_eq!(sensor.state_of(&id)["state"], "running");
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().code(), Some(137));
}

#[test]
fn a_member_outside_of_the_cgroup_is_frozen_and_thawed_too() {
    require!("root");
    let sensor = Sensor::start();
    let (dir, outside) = (sensor.scratch().dir("arrived"), TestCgroup::new("outside"));
    let line = ["move", dir.to_str().unwrap(), outside.path().to_str().unwrap()];
    let run = Order::new(&sensor, "mover").start(&workload("workload_escape", &line));
    let pid: u32 = wait::file(&dir.join("move")).parse().unwrap();
    let _main = wait::file(&dir.join("main"));
    let told = sensor.json(&["freeze", "mover"]);
    assert_eq!((&told[1]["result"], &told[1]["processes"]), (&"applied".into(), &2.into()), "{told:?}");
    assert_eq!(procs::state(pid), Some('T'));
    let told = sensor.json(&["thaw", "mover"]);
    assert_eq!(told[1]["result"], "applied", "{told:?}");
    assert_eq!(procs::state(pid), Some('S'));
    assert_eq!(sensor.cli(&["kill", "mover"]).status.code(), Some(0));
    assert!(!procs::is_alive(pid));
    assert_eq!(run.wait().code(), Some(137));
}

/// A process of several threads and one of a single thread, in a group made before.
struct Inhabited {
    group: TestCgroup,
    threads: Gathered,
    counter: Gathered,
    dir: std::path::PathBuf,
    number: std::path::PathBuf,
}

const THREADS: usize = 8;

impl Inhabited {
    fn new(sensor: &Sensor) -> Self {
        let (group, dir) = (TestCgroup::new("inhabited"), sensor.scratch().dir("threads"));
        let number = sensor.scratch().join("number");
        let mut command = programs::command("workload_threads");
        let threads = sensor.beside(command.arg(THREADS.to_string()).arg(&dir));
        let mut command = programs::command("workload_count");
        let counter = sensor.beside(command.arg(&number));
        let _ready = (wait::file(&dir.join("pid")), counts_on(&number, 0));
        group.add(threads.pid());
        group.add(counter.pid());
        Self { group, threads, counter, dir, number }
    }
}

#[test]
fn a_tagged_cgroup_is_watched_with_all_that_is_in_it() {
    require!("root");
    let sensor = Sensor::start();
    let mut here = Inhabited::new(&sensor);
    let path = here.group.path().to_str().unwrap();
    let tagged = sensor.json(&["tag", path, "--name", "inhabited"]).remove(0);
    let id = tagged["id"].as_str().unwrap();
    assert_eq!(tagged["cgroup"]["path"], here.group.shown());
    // Each thread that was there before opens a file of its own.
    fs::write(here.dir.join("go"), "").unwrap();
    let output = here.threads.wait();
    assert!(output.status.success(), "{}", programs::text(&output));
    let flushed = sensor.json(&["untag", id]).remove(0);
    assert_eq!(flushed["run"]["state"], "ended", "{flushed:#}");
    assert_eq!(flushed["complete"], true, "{flushed:#}");

    let events = sensor.events(id);
    let mut seeds: Vec<(u32, bool)> = story::only(&events, "seed")
        .iter()
        .map(|event| (story::pid(event), event["unmapped"]["process"]["pre_existing"] == true))
        .collect();
    seeds.sort_unstable();
    let threads: u32 = wait::file(&here.dir.join("pid")).parse().unwrap();
    let mut expected = vec![(threads, true), (here.counter.pid(), true)];
    expected.sort_unstable();
    assert_eq!(seeds, expected);
    let mut opened: Vec<String> = story::of(&events, "inhabited", id, &[&here.dir])
        .into_iter()
        .filter(|line| line.starts_with("create "))
        .collect();
    opened.sort();
    let expected: Vec<String> = (0..THREADS).map(|n| format!("create {}/{n}", here.dir.display())).collect();
    assert_eq!(opened, expected);
    // The watch is over, the life is not.
    assert!(!here.counter.ended());
    counts_on(&here.number, count(&here.number));
    assert!(here.group.path().exists());
    assert_eq!(sensor.json(&["agents"]), [] as [serde_json::Value; 0]);
    assert_eq!(sensor.events(id).len(), events.len(), "nothing is reported of it any more");
}

/// The pass over the tasks that are there and the records of those just born meet in the same
/// moment.
#[test]
fn a_process_born_while_its_cgroup_is_tagged_is_told_of_once() {
    require!("root");
    let sensor = Sensor::start();
    let group = TestCgroup::new("nursery");
    let mothers: [Gathered; 2] = std::array::from_fn(|_| {
        sensor.beside(programs::command("workload_exec_loop").args(["1000000", "/dev/null"]))
    });
    mothers.iter().for_each(|mother| group.add(mother.pid()));
    for round in 0..5 {
        let tagged = sensor.json(&["tag", group.path().to_str().unwrap(), "--name", "nursery"]).remove(0);
        let id = tagged["id"].as_str().unwrap();
        wait::until("births", || match sensor.state_of(id)["counters"]["processes_born"].as_u64() {
            Some(1..) => Ok(()),
            born => Err(format!("{born:?}")),
        });
        let flushed = sensor.json(&["untag", id]).remove(0);
        assert_eq!(flushed["complete"], true, "{flushed:#}");
        let events = sensor.events(id);
        let seeds = story::only(&events, "seed").into_iter().map(story::pid);
        let children = story::only(&events, "fork").into_iter().map(|event| event["process"]["pid"].as_u64());
        let mut known: Vec<u64> = seeds.map(u64::from).chain(children.map(Option::unwrap)).collect();
        known.sort_unstable();
        let told = known.len();
        known.dedup();
        assert_eq!(told, known.len(), "round {round}: one is reported twice: {events:#?}");
        for exit in story::only(&events, "exit") {
            let pid = u64::from(story::pid(exit));
            assert!(known.contains(&pid), "round {round}: {pid} was never reported: {events:#?}");
        }
    }
}

#[test]
fn a_process_that_enters_a_tagged_cgroup_is_a_member() {
    require!("root");
    let sensor = Sensor::start();
    let (group, number) = (TestCgroup::new("open-house"), sensor.scratch().join("number"));
    let tagged = sensor.json(&["tag", group.path().to_str().unwrap(), "--name", "house"]).remove(0);
    let id = tagged["id"].as_str().unwrap();
    let mut command = programs::command("workload_count");
    let guest = sensor.beside(command.args(["once"]).arg(&number));
    let _ready = wait::file(&number);
    group.add(guest.pid());
    let killed = sensor.json(&["kill", id]);
    assert_eq!((&killed[1]["result"], &killed[1]["processes"]), (&"applied".into(), &1.into()), "{killed:?}");
    assert!(!procs::is_alive(guest.pid()));
    let _report = sensor.json(&["untag", id]);
    let events = sensor.events(id);
    let moves: Vec<(u32, String)> = story::only(&events, "cgroup_move")
        .iter()
        .map(|event| (story::pid(event), story::line(event)))
        .collect();
    assert_eq!(moves, [(guest.pid(), format!("move newcomer inside {}", group.shown()))]);
}

#[test]
fn a_cgroup_cannot_be_tagged_twice() {
    require!("root");
    let sensor = Sensor::start();
    let group = TestCgroup::new("once");
    let path = group.path().to_str().unwrap();
    let tagged = sensor.json(&["tag", path, "--name", "first"]).remove(0);
    let id = tagged["id"].as_str().unwrap();
    let output = sensor.cli(&["tag", path, "--name", "second"]);
    assert_eq!(output.status.code(), Some(1), "{}", programs::text(&output));
    let expected =
        format!("sentry: cgroup {path} belongs to run {id} already; `sentry untag {id}` ends that\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    for (target, what) in [("/", "root"), ("/proc", "not on a cgroup v2")] {
        let target = if target == "/" { sentry_tests::cgroup::mount() } else { target.into() };
        let output = sensor.cli(&["tag", target.to_str().unwrap(), "--name", "third"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", programs::text(&output));
    }
    let _report = sensor.json(&["untag", id]);
}
