//! One member of the group cannot use up the sensor.

use std::{collections::BTreeMap, fs};

use sentry_tests::{
    programs::{self, Gathered},
    require,
    sensor::{Sensor, Setup},
    supervised::Order,
};

const USER: u32 = 64_001;
const GROUP: (&str, u32) = ("nogroup", 65_534);

/// What `workload_crowd` prints, as an ordinary member of the group.
fn crowd(sensor: &Sensor, what: &str, args: &[&str]) -> Vec<String> {
    let socket = sensor.socket();
    let mut line = vec![what.as_ref(), socket.as_os_str()];
    line.extend(args.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
    let program = programs::path("workload_crowd");
    let output = programs::finish(&mut programs::as_user(USER, &[GROUP.1], program.as_os_str(), &line));
    assert!(output.status.success(), "{}", programs::text(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn times(answers: &[String]) -> BTreeMap<&str, usize> {
    let mut times = BTreeMap::new();
    answers.iter().for_each(|answer| *times.entry(answer.as_str()).or_default() += 1);
    times
}

/// Of the sensor, in MiB: the most that it had in memory.
fn peak(sensor: &Sensor) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sensor.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn works(sensor: &Sensor) {
    let ended = Order::new(sensor, "works").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
}

#[test]
fn a_command_of_megabytes_is_refused_before_it_takes_memory() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    let before = peak(&sensor);
    let answers = crowd(&sensor, "start", &["60", "4000000"]);
    let refused = "OutOfRange: Error, decoded message length too large: found 4000012 bytes, the limit is: \
        262144 bytes";
    assert_eq!(times(&answers), BTreeMap::from([(refused, 60)]));
    let took = peak(&sensor) - before;
    println!("peak {} MiB, {took} MiB more", peak(&sensor));
    assert!(took < 32, "{took} MiB");
    assert_eq!(sensor.json(&["agents"]), [] as [serde_json::Value; 0]);
    works(&sensor);
}

#[test]
fn one_user_has_a_share_of_the_runs_that_wait_for_their_command() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    let before = peak(&sensor);
    let answers = crowd(&sensor, "start", &["20", "200000"]);
    let refused = format!(
        "ResourceExhausted: 16 runs of uid {USER} wait for their command, the most of one user; enter them \
        (`sentry run` does), or try again in 60 s: a run that nobody enters is dropped then"
    );
    assert_eq!(times(&answers), BTreeMap::from([("Ok", 16), (refused.as_str(), 4)]));
    println!("peak {} MiB, {} MiB more", peak(&sensor), peak(&sensor) - before);

    // What cannot be in one message is in several.
    let pages = crowd(&sensor, "list", &[]);
    let pages = pages.iter().map(|page| page.split_once(' ').unwrap());
    let pages: Vec<(u64, u64)> =
        pages.map(|(bytes, runs)| (bytes.parse().unwrap(), runs.parse().unwrap())).collect();
    assert!(pages.iter().all(|(bytes, _)| *bytes < 2 << 20), "{pages:?}");
    assert_eq!(sensor.json(&["agents"]).len(), 16);
    assert_eq!(sensor.json(&["agents", "--all"]).len(), 16);
    // Root has a share of its own.
    works(&sensor);
}

#[test]
fn many_commands_of_one_user_may_be_started_at_once() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    let args = ["run", "--quiet", "--", "/bin/true"].map(AsRef::<std::ffi::OsStr>::as_ref);
    let sentry = programs::path("sentry");
    let start = |_| {
        let mut command = programs::as_user(USER, &[GROUP.1], sentry.as_os_str(), &args);
        sensor.beside(&mut command)
    };
    let all: Vec<Gathered> = (0..24).map(start).collect();
    for run in all {
        let output = run.wait();
        assert_eq!(output.status.code(), Some(0), "{}", programs::text(&output));
    }
}

#[test]
fn one_user_has_a_share_of_the_connections() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    assert_eq!(crowd(&sensor, "connect", &["330"]), ["320"]);
    // They are free again.
    assert_eq!(crowd(&sensor, "connect", &["10"]), ["10"]);
    works(&sensor);
}
