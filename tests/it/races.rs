//! An argument that another thread changes while the kernel reads it: each event names what was
//! really reached.

use std::{
    collections::{BTreeMap, HashMap},
    net::TcpListener,
};

use sentry_tests::{programs, require, sensor::Sensor, supervised::Order, wait};
use serde_json::Value;

use crate::workload;

/// What the workload reached, how often; and what was reported, how often.
type Counts = BTreeMap<String, u64>;

/// Rounds of one race, each in a sensor of its own. `told` counts the events by what they say was
/// reached.
fn race(what: &str, rounds: u32, calls: u32, extra: &[String], told: impl Fn(&[Value], &str) -> Counts) {
    let (mut all, mut lies) = (0, 0);
    for _ in 0..rounds {
        let sensor = Sensor::start();
        let dir = sensor.scratch().dir("race");
        let dir = dir.to_str().unwrap();
        let calls = calls.to_string();
        let mut args = vec![what, dir, &calls];
        args.extend(extra.iter().map(String::as_str));
        let ended = Order::new(&sensor, "race").finish(&workload("workload_race", &args));
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        for ring in ["critical", "bulk"] {
            let books = &ended.report()["run"]["rings"][ring];
            assert_eq!(books["generated"], books["delivered"], "{books}");
        }
        let made: Value = serde_json::from_str(&ended.stdout()).unwrap();
        let reached: Counts = serde_json::from_value(made["reached"].clone()).unwrap();
        assert_eq!(told(&sensor.events(&ended.run), dir), reached);
        all += reached.values().sum::<u64>();
        lies += made["lies"].as_u64().unwrap();
    }
    println!("{what}: {all} calls, 0 wrong objects; the argument named another one after {lies} of them");
    assert!(lies > 0, "the argument never changed during a call: nothing was proven");
}

fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A large number is text in JSON.
fn number(value: &Value) -> String {
    value.to_string().trim_matches('"').to_owned()
}

/// That each name stands for one object, whoever names it.
fn one_object_each(objects: &BTreeMap<String, Vec<String>>) {
    for (name, inodes) in objects {
        assert!(inodes.iter().all(|inode| *inode == inodes[0]), "{name} is several objects");
    }
    let mut firsts: Vec<&String> = objects.values().map(|inodes| &inodes[0]).collect();
    firsts.dedup();
    assert_eq!(firsts.len(), objects.len(), "two names are one object");
}

#[test]
fn a_path_that_changes_under_an_open_deceives_nobody() {
    require!("root");
    let opens = wait::rounds(20_000, 1_000, 20_000);
    race("open", wait::rounds(1, 1, 50), opens, &[], |events, dir| {
        let (mut counts, mut objects) = (Counts::new(), BTreeMap::<String, Vec<String>>::new());
        for event in events {
            let name = text(event, "/file/path").strip_prefix(dir).map(|name| name.trim_start_matches('/'));
            if event["unmapped"]["act"] == "open"
                && event["activity_name"] == "Read"
                && let Some(name) = name
            {
                *counts.entry(name.to_owned()).or_default() += 1;
                objects.entry(name.to_owned()).or_default().push(number(&event["unmapped"]["file"]["inode"]));
            }
        }
        one_object_each(&objects);
        counts
    });
}

/// What a process executed is known by the code it ended with.
#[test]
fn a_path_that_changes_under_an_exec_deceives_nobody() {
    require!("root");
    let execs = wait::rounds(2_000, 200, 2_000);
    race("exec", wait::rounds(1, 1, 50), execs, &[], |events, dir| {
        let (mut counts, mut objects) = (Counts::new(), BTreeMap::<String, Vec<String>>::new());
        let mut programs = HashMap::new();
        for event in events {
            let process = text(event, "/actor/process/uid");
            match event["unmapped"]["act"].as_str() {
                Some("exec") => {
                    let path = text(event, "/process/file/path");
                    let Some(name) = path.strip_prefix(dir) else { continue };
                    let name = name.trim_start_matches('/').to_owned();
                    assert_eq!(event["unmapped"]["requested"], path, "{event:#}");
                    let inode = number(&event["unmapped"]["process"]["file"]["inode"]);
                    objects.entry(name.clone()).or_default().push(inode);
                    assert_eq!(programs.insert(process.to_owned(), name), None, "{event:#}");
                }
                Some("exit") => {
                    let Some(name) = programs.remove(process) else { continue };
                    let ran = if event["exit_code"] == 1 { "a" } else { "b" };
                    assert_eq!(name, ran, "{event:#}");
                    *counts.entry(name).or_default() += 1;
                }
                _ => {}
            }
        }
        one_object_each(&objects);
        counts
    });
}

#[test]
fn an_address_that_changes_under_a_connect_deceives_nobody() {
    require!("root");
    let (port, listeners) = neighbours();
    for listener in listeners {
        std::thread::spawn(move || listener.incoming().for_each(drop));
    }
    let connects = wait::rounds(2_000, 200, 2_000);
    race("connect", wait::rounds(1, 1, 50), connects, &[port.to_string()], |events, _dir| {
        let destinations = |act: &str| {
            let mut counts = Counts::new();
            for event in events.iter().filter(|event| event["unmapped"]["act"] == act) {
                let to = format!("{}:{}", text(event, "/dst_endpoint/ip"), event["dst_endpoint"]["port"]);
                *counts.entry(to).or_default() += 1;
            }
            counts
        };
        let asked = destinations("connect");
        assert_eq!(asked, destinations("connected"));
        asked
    });
}

/// An even port, and listeners there and at the next one, on both addresses.
fn neighbours() -> (u16, Vec<TcpListener>) {
    wait::until("two ports that follow each other are free", || {
        let any = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = any.map_err(|error| error.to_string())?.port() & !1;
        let places = [(1, port), (1, port | 1), (2, port), (2, port | 1)];
        let listeners: Result<Vec<TcpListener>, _> = places
            .map(|(host, port)| TcpListener::bind((format!("127.0.0.{host}"), port)))
            .into_iter()
            .collect();
        Ok((port, listeners.map_err(|error| error.to_string())?))
    })
}
