//! What a later sensor life makes of the runs that an earlier one left.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::net::UnixDatagram,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use sentry_tests::{
    cgroup::TestCgroup,
    procs,
    programs::{self, Gathered},
    require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};
use serde_json::Value;

use crate::workload;

/// `sentry run` of a command, which outlives the sensor; and the run's id.
fn begin<S: AsRef<OsStr>>(sensor: &Sensor, command: &[S]) -> (Gathered, String) {
    let mut line = sensor.sentry(&["run", "--name", "held", "--"]);
    let run = sensor.beside(line.args(command));
    let id = wait::until("the run lives", || {
        let runs = sensor.json(&["agents"]);
        runs.first().and_then(|run| run["id"].as_str()).map(str::to_owned).ok_or_else(|| format!("{runs:?}"))
    });
    (run, id)
}

/// Processes that there were, and those that there are.
fn counts(state: &Value) -> (u64, u64) {
    let count = |name: &str| state["counters"][name].as_u64().unwrap();
    let all = count("processes_born") + count("processes_entered");
    (all, all.saturating_sub(count("processes_ended")))
}

/// Ends one child and starts another when a line comes, and says when that is done.
const CHANGING: &str = r#"sleep 600 & first=$!; echo ready > "$2"; read line < "$1"; kill $first; wait $first
sleep 600 & echo changed > "$2"; read line < "$1""#;

#[test]
fn processes_are_counted_once_over_the_lives_of_the_sensor() {
    require!("root");
    let mut sensor = Setup::default().start();
    let (fifo, said) = (sensor.scratch().join("fifo"), sensor.scratch().join("said"));
    mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    let (fifo_text, said_text) = (fifo.to_str().unwrap(), said.to_str().unwrap());
    let (run, id) = begin(&sensor, &["sh", "-c", CHANGING, "sh", fifo_text, said_text]);
    assert_eq!(wait::file(&said), "ready\n");
    let counted = |sensor: &Sensor| counts(&sensor.state_of(&id));
    wait::until("the shell and its child are counted", || match counted(&sensor) {
        (2, 2) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    sensor.kill();
    sensor.start_again();
    assert_eq!(counted(&sensor), (2, 2), "after a death");
    // While it is away one ends and one is born.
    assert!(sensor.terminate().success());
    File::options().write(true).open(&fifo).unwrap().write_all(b"change\n").unwrap();
    wait::until("the children have changed", || match wait::file(&said).as_str() {
        "changed\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    sensor.start_again();
    assert_eq!(counted(&sensor), (3, 2), "after a change");
    assert!(sensor.terminate().success());
    sensor.start_again();
    assert_eq!(counted(&sensor), (3, 2), "after a stop");
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().status.code(), Some(137));
    assert_eq!(counts(&sensor.state_of(&id)), (3, 0));
}

#[test]
fn frozen_runs_stay_frozen_while_the_sensor_is_away() {
    require!("root");
    let manager = sentry_tests::scratch::Scratch::new();
    let notes = UnixDatagram::bind(manager.join("notify")).unwrap();
    notes.set_read_timeout(Some(wait::patience())).unwrap();
    // Apart from those that ask for more time to start.
    let note = || {
        loop {
            let mut bytes = [0; 1024];
            let length = notes.recv(&mut bytes).unwrap();
            let note = String::from_utf8_lossy(&bytes[..length]);
            if !note.starts_with("EXTEND_TIMEOUT_USEC=") {
                break note.trim_end().to_owned();
            }
        }
    };
    let mut sensor =
        Setup::default().variable("NOTIFY_SOCKET", manager.join("notify").to_str().unwrap()).start();
    assert_eq!(note(), "READY=1\nSTATUS=serving");
    let number = sensor.scratch().join("number");
    let (run, id) = begin(&sensor, &workload("workload_count", &[number.to_str().unwrap()]));
    let _counts = wait::file(&number);
    assert_eq!(sensor.cli(&["freeze", &id]).status.code(), Some(0));
    let stands_at = wait::file(&number);

    assert!(sensor.terminate().success());
    let thaw = format!("`sentry thaw {id}` lets it go on");
    assert_eq!(note(), "STOPPING=1");
    assert_eq!(note(), format!("STATUS=run {id} stays frozen; start the sensor, then {thaw}"));
    assert!(
        sensor.log().contains("run stays frozen; start the sensor and thaw or kill it"),
        "{}",
        sensor.log()
    );
    assert_eq!(wait::file(&number), stands_at);

    sensor.start_again();
    assert_eq!(note(), format!("READY=1\nSTATUS=serving; run {id} is still frozen, {thaw}"));
    assert_eq!(sensor.state_of(&id)["state"], "frozen");
    assert_eq!(wait::file(&number), stands_at);
    assert_eq!(sensor.json(&["thaw", &id])[1]["result"], "applied");
    wait::until("it counts on", || match wait::file(&number) {
        same if same == stands_at => Err(same),
        _ => Ok(()),
    });
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    let output = run.wait();
    assert_eq!(output.status.code(), Some(137));
    let told = format!("sentry: the sensor stops and run {id} stays frozen; start the sensor, then {thaw}\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches(&told).count(), 1, "{said}");
}

/// Their first thread has ended in the run, the others live in another group: only the sensor's
/// memory has them.
#[test]
fn members_outside_that_were_stopped_are_still_the_runs_after_a_restart() {
    require!("root");
    for act in ["thaw", "kill"] {
        let mut sensor = Setup::default().start();
        let (dir, outside) = (sensor.scratch().dir("tree"), TestCgroup::new("outside"));
        let line = ["headless-moved", dir.to_str().unwrap(), outside.path().to_str().unwrap()];
        let (run, id) = begin(&sensor, &workload("workload_tree", &line));
        let _count = wait::file(&dir.join("ready"));
        let threads = || {
            let text = fs::read_to_string(outside.path().join("cgroup.threads")).unwrap();
            let states = text.lines().map(|thread| procs::state(thread.parse().unwrap()).unwrap());
            states.collect::<String>()
        };
        let frozen = sensor.json(&["freeze", &id]);
        assert_eq!((&frozen[1]["result"], &frozen[1]["processes"]), (&"applied".into(), &2.into()));
        assert_eq!(threads(), "TT");

        assert!(sensor.terminate().success());
        sensor.start_again();
        assert_eq!(sensor.state_of(&id)["state"], "frozen");
        assert_eq!(threads(), "TT");
        let told = sensor.json(&[act, &id]);
        assert_eq!((&told[1]["result"], &told[1]["processes"]), (&"applied".into(), &2.into()), "{told:?}");
        if act == "thaw" {
            // Whether they wait already or are still on their way there says nothing about the
            // thaw.
            assert!(!threads().contains('T'), "both go on: {}", threads());
            assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
        }
        assert_eq!(threads(), "");
        let output = run.wait();
        assert_eq!(output.status.code(), Some(137), "{}", programs::text(&output));
    }
}

/// It would wait for ever.
#[test]
fn who_follows_events_learns_that_the_sensor_stops() {
    require!("root");
    let mut sensor = Setup::default().start();
    let ended = Order::new(&sensor, "seen").finish(&["/bin/true"]);
    let mut follow = sensor.sentry(&["events", "--follow", "--run", &ended.run]);
    let follower = sensor.beside(&mut follow);
    let socket = sensor.socket();
    wait::until("the follower is connected", || {
        let table = fs::read_to_string("/proc/net/unix").unwrap();
        let lines = table.lines().filter(|line| line.ends_with(socket.to_str().unwrap())).count();
        if lines >= 2 { Ok(()) } else { Err(format!("{lines}")) }
    });
    assert!(sensor.terminate().success());
    let output = follower.wait();
    assert_eq!(output.status.code(), Some(69), "{}", programs::text(&output));
}
