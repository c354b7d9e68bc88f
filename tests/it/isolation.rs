//! A run's stream holds what the run did and nothing else.

use std::collections::BTreeSet;

use sentry_tests::{
    programs, require,
    sensor::{Sensor, Setup},
    story,
    supervised::{Ended, Order},
    wait,
};
use serde_json::Value;

use crate::workload;

/// Everything in the events is of this run; they are all that the kernel made.
fn is_all_of(sensor: &Sensor, agent: &str, ended: &Ended) -> Vec<Value> {
    let events = sensor.events(&ended.run);
    let everything = [std::path::Path::new("/")];
    let told = story::of(&events, agent, &ended.run, &everything);
    assert_eq!(told.len(), events.len());
    let rings = &sensor.state_of(&ended.run)["rings"];
    let sum = |key: &str| -> u64 {
        ["critical", "bulk"].iter().map(|ring| rings[ring][key].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("generated"), sum("delivered") + sum("lost") + sum("throttled"), "{rings}");
    assert_eq!(events.len() as u64, sum("delivered"), "{rings}");
    events
}

/// Processes that the run's own tree holds: the first one and those it made.
fn tree(events: &[Value]) -> BTreeSet<u64> {
    let forks =
        story::only(events, "fork").into_iter().map(|event| event["process"]["pid"].as_u64().unwrap());
    let entered = story::only(events, "cgroup_move").into_iter().map(|event| u64::from(story::pid(event)));
    forks.chain(entered).collect()
}

#[test]
fn others_are_not_in_the_stream() {
    require!("root");
    let sensor = Sensor::start();
    // 50,000 execs and 50,000 opens by two processes that are no agents.
    let each = wait::rounds(25_000, 1_000, 25_000).to_string();
    let noise = sensor.scratch().join("noise");
    std::fs::write(&noise, "noise").unwrap();
    let untagged: Vec<_> = (0..2)
        .map(|_| {
            let mut command = programs::command("workload_exec_loop");
            command.arg(&each).arg(&noise);
            sensor.beside(&mut command)
        })
        .collect();
    let others: Vec<u32> = untagged.iter().map(programs::Gathered::pid).collect();
    let mut runs = 0;
    let mut untagged = untagged;
    while !untagged.iter_mut().all(programs::Gathered::ended) {
        let dir = sensor.place("files");
        std::fs::create_dir(&dir).unwrap();
        let ended = Order::new(&sensor, "quiet")
            .finish(&workload("workload_flood", &[dir.to_str().unwrap(), "100", "0"]));
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        let events = is_all_of(&sensor, "quiet", &ended);
        let opened = events.iter().filter_map(|event| event["file"]["path"].as_str());
        assert_eq!(opened.clone().filter(|path| path.starts_with(dir.to_str().unwrap())).count(), 100);
        assert_eq!(opened.filter(|path| path.contains("noise")).count(), 0);
        let family = tree(&events);
        assert_eq!(family.len(), 1, "one process: {family:?}");
        for event in &events {
            assert!(family.contains(&u64::from(story::pid(event))), "{event:#}");
            assert!(!others.contains(&story::pid(event)), "{event:#}");
        }
        assert_eq!(story::only(&events, "exec").len(), 1);
        runs += 1;
    }
    for process in untagged {
        let output = process.wait();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), each, "{}", programs::text(&output));
    }
    assert!(runs > 0);
    assert_eq!(sensor.json(&["agents", "--all"]).len(), runs);
}

#[test]
fn two_runs_of_one_program_do_not_mix() {
    require!("root");
    let sensor = Sensor::start();
    let count = wait::rounds(2_000, 300, 2_000).to_string();
    let dirs = [sensor.scratch().dir("one"), sensor.scratch().dir("two")];
    let started: Vec<_> = ["one", "two"]
        .iter()
        .zip(&dirs)
        .map(|(name, dir)| {
            Order::new(&sensor, name)
                .start(&workload("workload_flood", &[dir.to_str().unwrap(), &count, "0"]))
        })
        .collect();
    let ended: Vec<Ended> = started.into_iter().map(sentry_tests::supervised::Supervised::wait).collect();
    assert_ne!(ended[0].run, ended[1].run);
    for ((name, dir), ended) in ["one", "two"].iter().zip(&dirs).zip(&ended) {
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        let events = is_all_of(&sensor, name, ended);
        let scratch = sensor.scratch().path().to_str().unwrap();
        let here: Vec<&str> = events
            .iter()
            .filter_map(|event| event["file"]["path"].as_str())
            .filter(|path| path.starts_with(scratch))
            .collect();
        assert_eq!(here.len().to_string(), count, "{name}");
        assert!(here.iter().all(|path| path.starts_with(dir.to_str().unwrap())), "{name}");
        assert_eq!(tree(&events).len(), 1, "{name}");
    }
}

#[test]
fn a_flood_costs_the_run_that_makes_it() {
    require!("root");
    // Small enough for the flood to fill.
    let sensor = Setup::default().config("rings: {bulk_bytes: 1 MiB}").start();
    let flooded = sensor.scratch().dir("flooded");
    let flood = Order::new(&sensor, "flood")
        .start(&workload("workload_flood", &[flooded.to_str().unwrap(), "0", "0"]));
    let flood_run = flood.run();
    wait::until("the flood is throttled", || match sensor.state_of(&flood_run)["rings"]["bulk"]["throttled"]
        .as_u64()
    {
        Some(1..) => Ok(()),
        throttled => Err(format!("{throttled:?}")),
    });
    // In the suite for a moment, in the long form for a minute.
    let opens = wait::rounds(300, 100, 12_000).to_string();
    let quiet: Vec<_> = (0..wait::rounds(3, 2, 9))
        .map(|number| {
            let dir = sensor.scratch().dir(&format!("quiet-{number}"));
            Order::new(&sensor, &format!("quiet-{number}"))
                .start(&workload("workload_flood", &[dir.to_str().unwrap(), &opens, "5000"]))
        })
        .collect();
    for run in quiet {
        let ended = run.wait();
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        let state = sensor.state_of(&ended.run);
        for ring in ["critical", "bulk"] {
            let books = &state["rings"][ring];
            assert_eq!((&books["lost"], &books["throttled"]), (&0.into(), &0.into()), "{state:#}");
            assert_eq!(books["generated"], books["delivered"], "{state:#}");
        }
        assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
    }
    std::fs::write(flooded.join("stop"), "").unwrap();
    let ended = flood.wait();
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let state = sensor.state_of(&flood_run);
    let books = |ring: &str, key: &str| state["rings"][ring][key].as_u64().unwrap();
    assert_eq!((books("critical", "lost"), books("critical", "throttled")), (0, 0), "{state:#}");
    let told = books("bulk", "delivered") + books("bulk", "lost") + books("bulk", "throttled");
    assert_eq!(books("bulk", "generated"), told, "{state:#}");
    assert_eq!(ended.report()["complete"], false, "what was left out is not called complete");
    // Of a minute's flood the journal keeps the end, and that is too much to look at.
    if !wait::long() {
        let events = sensor.events(&flood_run);
        let first = story::only(&events, "completeness")[0];
        assert_eq!(first["unmapped"]["missing"], true, "{first:#}");
    }
}

#[test]
fn a_quiet_run_is_read_while_another_floods() {
    /// Records of the flood while the quiet run is looked at: a queue for all would be full of
    /// them.
    const FLOOD: u64 = 100_000;
    const QUIET: usize = 500;
    require!("root");
    let sensor = Sensor::start();
    let flooded = sensor.scratch().dir("flooded");
    // More than the reader can keep up with, whatever it shares the processors with.
    let program = programs::path("workload_flood");
    let one = format!("{} {} 0 0", program.display(), flooded.display());
    let flood = Order::new(&sensor, "flood").start(&[
        "/bin/sh",
        "-c",
        &format!("{one} & {one} & {one} & {one} & wait"),
    ]);
    let flood_run = flood.run();
    let dir = sensor.scratch().dir("quiet");
    let quiet = Order::new(&sensor, "quiet")
        .start(&workload("workload_flood", &[dir.to_str().unwrap(), "0", "1000"]));
    let quiet_run = quiet.run();
    let generated = |run: &str| sensor.state_of(run)["rings"]["bulk"]["generated"].as_u64().unwrap();
    let mut before = None;
    wait::until("the quiet run's events arrive beside the flood", || {
        let events = sensor.json(&["events", "--limit", &QUIET.to_string(), "--run", &quiet_run]);
        let newest = events.last().map(|event| event["time"].as_u64().unwrap());
        let flood = generated(&flood_run);
        let first = *before.get_or_insert(flood);
        // As many as asked for, and newer ones with every look, while the flood goes on.
        if events.len() == QUIET && newest.is_some() && flood >= first + FLOOD {
            Ok(())
        } else {
            Err(format!("{} events, {newest:?}; the flood made {}", events.len(), flood - first))
        }
    });
    let state = sensor.state_of(&quiet_run);
    let books = &state["rings"]["bulk"];
    assert_eq!((&books["lost"], &books["throttled"]), (&0.into(), &0.into()), "{state:#}");
    let health = sensor.cli(&["health"]);
    assert_eq!(health.status.code(), Some(0), "{}", programs::text(&health));
    for (dir, run) in [(flooded, flood), (dir, quiet)] {
        std::fs::write(dir.join("stop"), "").unwrap();
        let ended = run.wait();
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        let state = sensor.state_of(&ended.run);
        let books = |key: &str| state["rings"]["bulk"][key].as_u64().unwrap();
        assert_eq!(books("generated"), books("delivered") + books("lost") + books("throttled"), "{state:#}");
    }
    assert!(!sensor.log().contains("silent hooks"), "{}", sensor.log());
}
