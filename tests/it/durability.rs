//! A sensor that stops has kept what it saw; one that is killed loses nothing it had committed.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use sentry_tests::{
    procs, programs, require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};
use serde_json::Value;

use crate::workload;

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}

/// Every ring of every life of the sensor counts from 1, without holes. How many lives there were.
fn are_whole(events: &[Value]) -> usize {
    let mut series: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in events {
        // <run and life>-<ring>-<sequence>
        let uid = event["metadata"]["uid"].as_str().unwrap();
        let (name, number) = uid.rsplit_once('-').unwrap();
        assert_eq!(number, event["metadata"]["sequence"].to_string());
        series.entry(name.to_owned()).or_default().push(number.parse().unwrap());
    }
    for (name, numbers) in &series {
        assert_eq!(*numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{name}");
    }
    series.keys().filter(|name| name.ends_with("-c")).count()
}

#[test]
fn what_happened_before_the_stop_is_kept() {
    require!("root");
    let mut sensor = Sensor::start();
    let dir = sensor.scratch().dir("files");
    let count: usize = if wait::slow() { 500 } else { 5_000 };
    let line = workload("workload_flood", &[dir.to_str().unwrap(), &format!("{count}+"), "0"]);
    let run = Order::new(&sensor, "flood").start(&line);
    let id = run.run();
    // All opens are made when this is there; the sensor may still have them to read.
    let done = wait::file(&dir.join("done"));
    assert_eq!(done, count.to_string());
    drop_supervisor(run);
    let status = sensor.terminate();
    assert_eq!(status.code(), Some(0), "{}", sensor.log());
    assert!(!sensor.socket().exists());

    sensor.start_again();
    let events = sensor.events(&id);
    let flooded = events
        .iter()
        .filter_map(|event| event["file"]["path"].as_str())
        .filter(|path| path.starts_with(&format!("{}/f", dir.display())))
        .count();
    assert_eq!(flooded, count, "{}", sensor.log());
    assert_eq!(are_whole(&events), 2, "the second life found the process where the first had left it");
    // The second life goes on from the first one's counters, up to its last record.
    let state = sensor.state_of(&id);
    assert_eq!(state["state"], "running");
    assert!(state["counters"]["opens"].as_u64().unwrap() >= count as u64, "{state:#}");
    let _entries = sensor.verified_ledger();
}

/// Ends `sentry run` without ending what it started.
pub(crate) fn drop_supervisor(run: sentry_tests::supervised::Supervised<'_>) {
    procs::signal(run.pid(), Signal::SIGKILL);
    drop(run);
}

#[test]
fn a_killed_sensor_has_all_that_it_had_shown() {
    require!("root");
    let mut sensor = Setup::default().start();
    let dir = sensor.scratch().dir("files");
    let run =
        Order::new(&sensor, "flood").start(&workload("workload_flood", &[dir.to_str().unwrap(), "0", "500"]));
    let id = run.run();
    let shown = wait::until("a part of the flood is shown", || {
        let events = sensor.events(&id);
        if events.len() >= 300 { Ok(events) } else { Err(format!("{} events", events.len())) }
    });
    drop_supervisor(run);
    sensor.kill();
    std::fs::write(dir.join("stop"), "").unwrap();

    sensor.start_again();
    assert_eq!(sensor.health()["health"], "serving", "{}", sensor.log());
    let kept = sensor.events(&id);
    assert!(ids(&kept).is_superset(&ids(&shown)), "{} kept, {} shown", kept.len(), shown.len());
    assert_eq!(ids(&kept).len(), kept.len(), "no event twice");
    let _lives = are_whole(&kept);
    let entries = sensor.verified_ledger();
    // It works on: the next run is whole.
    let ended = Order::new(&sensor, "next").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
    assert!(sensor.verified_ledger() > entries);
}
