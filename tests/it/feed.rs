//! Between sensor and collector: whatever breaks, every event is stored exactly once, or a gap says
//! that it is not.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sentry_tests::{
    collector::Collector,
    programs,
    proxy::Proxy,
    require,
    sensor::{Sensor, Setup},
    supervised::{Ended, Order, Supervised},
    wait,
};
use serde_json::Value;

use crate::workload;

/// A run that makes events until it is asked to stop.
struct Load<'a> {
    run: Supervised<'a>,
    id: String,
    dir: PathBuf,
}

impl<'a> Load<'a> {
    fn start(sensor: &'a Sensor) -> Self {
        let dir = sensor.place("files");
        std::fs::create_dir(&dir).unwrap();
        let pause = if wait::slow() { "20000" } else { "1000" };
        let run = Order::new(sensor, "load")
            .start(&workload("workload_flood", &[dir.to_str().unwrap(), "0", pause]));
        let id = run.run();
        Self { run, id, dir }
    }

    fn stop(self) -> Ended {
        std::fs::write(self.dir.join("stop"), "").unwrap();
        let ended = self.run.wait();
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        assert_eq!(ended.run, self.id);
        ended
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// Newest position of the journal.
fn last(sensor: &Sensor) -> u64 {
    number(&sensor.health()["last_seq"])
}

/// Waits until the collector has acknowledged everything.
fn settled(sensor: &Sensor) -> u64 {
    wait::until("the collector has everything", || {
        let health = sensor.health();
        if health["acked_seq"] == health["last_seq"] && health["spooled_items"] == 0 {
            Ok(number(&health["last_seq"]))
        } else {
            Err(health.to_string())
        }
    })
}

/// Waits until this many more items were acknowledged.
fn flows(sensor: &Sensor, more: u64) {
    let before = number(&sensor.health()["acked_seq"]);
    wait::until("items flow to the collector", || {
        let acked = number(&sensor.health()["acked_seq"]);
        if acked >= before + more { Ok(()) } else { Err(format!("{acked} acknowledged, {before} before")) }
    });
}

fn uids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}

/// What the kernel made = what the sensor has = what the collector has, event by event.
fn books_close(sensor: &Sensor, collector: &Collector, ended: &Ended) {
    let settled = settled(sensor);
    let run = &ended.run;
    let state = sensor.state_of(run);
    let sum = |key: &str| -> u64 {
        ["critical", "bulk"].iter().map(|ring| number(&state["rings"][ring][key])).sum()
    };
    assert_eq!((sum("delivered"), sum("lost")), (sum("generated"), 0), "{state:#}");

    let here = sensor.events(run);
    assert_eq!(uids(&here).len(), here.len(), "no event twice at the sensor");
    assert_eq!(here.len() as u64, sum("generated"), "{state:#}");

    let there = collector.all(&format!("events?run={run}"));
    assert_eq!(uids(&there).len(), there.len(), "no event twice at the collector");
    assert_eq!(uids(&there), uids(&here));
    assert_eq!(collector.all("gaps"), [] as [Value; 0]);

    let sensors = collector.all("sensors");
    assert_eq!(sensors.len(), 1, "{sensors:#?}");
    let epochs = sensors[0]["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 1, "{epochs:#?}");
    assert_eq!((number(&epochs[0]["acked"]), number(&epochs[0]["lost"])), (settled, 0), "{epochs:#?}");

    let told = collector.all(&format!("runs?run={run}"));
    assert_eq!(told.len(), 1, "{told:#?}");
    let books = &told[0]["completeness"];
    assert_eq!((&books["complete"], &books["final"]), (&true.into(), &true.into()), "{books:#}");
    assert_eq!(number(&books["events_stored"]), sum("generated"), "{books:#}");
}

#[test]
fn a_collector_writes_no_colours_into_a_file() {
    let mut collector = Collector::start();
    collector.terminate();
    let log = collector.log();
    assert!(log.contains("draining") && !log.contains('\x1b'), "{log}");
}

#[test]
fn a_run_is_at_the_collector_as_it_is_at_the_sensor() {
    require!("root");
    let collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    let load = Load::start(&sensor);
    flows(&sensor, 50);
    let ended = load.stop();
    books_close(&sensor, &collector, &ended);
    let health = sensor.health();
    assert_eq!(health["health"], "serving", "{health}");
}

/// As `docs/operations.md` has it.
#[test]
fn a_collector_put_back_from_a_copy_gets_again_what_the_sensor_still_has() {
    require!("root");
    let mut collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    let copy = |from: &Path, to: &Path| {
        let copied = programs::finish(Command::new("cp").arg("--archive").arg(from).arg(to));
        assert!(copied.status.success(), "{}", programs::text(&copied));
    };
    let before = Order::new(&sensor, "before").finish(&["true"]);
    settled(&sensor);
    collector.terminate();
    let backup = sensor.place("backup");
    copy(&collector.data_dir(), &backup);
    collector.start_again();
    let after = Order::new(&sensor, "after").finish(&["true"]);
    settled(&sensor);
    collector.terminate();
    std::fs::remove_dir_all(collector.data_dir()).unwrap();
    copy(&backup, &collector.data_dir());
    collector.start_again();
    wait::until("the collector has again what the copy lacks", || {
        let sensors = collector.all("sensors");
        let acked = &sensors[0]["epochs"][0]["acked"];
        if *acked == last(&sensor) { Ok(()) } else { Err(format!("{acked} of {}", last(&sensor))) }
    });
    for ended in [before, after] {
        books_close(&sensor, &collector, &ended);
    }
}

#[test]
fn a_collector_that_was_killed_for_a_while_gets_everything() {
    require!("root");
    let away = if wait::long() { Duration::from_secs(30) } else { Duration::from_secs(3) };
    let mut collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    let load = Load::start(&sensor);
    flows(&sensor, 50);
    collector.kill();
    let (killed, before) = (std::time::Instant::now(), last(&sensor));
    wait::until_within(away + wait::patience(), "the outage is over and the spool has grown", || {
        let now = last(&sensor);
        if now > before && killed.elapsed() >= away { Ok(()) } else { Err(format!("{now}, {before} before")) }
    });
    collector.start_again();
    flows(&sensor, last(&sensor) - before);
    let ended = load.stop();
    books_close(&sensor, &collector, &ended);
}

#[test]
fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    require!("root");
    let cuts = wait::rounds(100, 10, 100);
    let collector = Collector::start();
    let proxy = Proxy::start(&collector.grpc);
    let sensor = Setup::default().collector(&proxy.address()).start();
    let load = Load::start(&sensor);
    for cut in 1..=cuts {
        let sent = proxy.sent();
        wait::until("the sensor is connected and sends", || {
            if proxy.joined() >= u64::from(cut) && proxy.sent() > sent {
                Ok(())
            } else {
                Err(format!("connection {} of {cut}, {} bytes sent", proxy.joined(), proxy.sent()))
            }
        });
        // Some are cut in the greeting, the others at various points of what is being sent. Whoever
        // is cut in the greeting again and again rightly waits longer and longer before the next
        // try.
        if cut % 10 != 0 {
            flows(&sensor, 1 + u64::from(cut % 7) * 5);
        }
        assert_eq!(proxy.cut(), 1, "cut {cut}");
    }
    let ended = load.stop();
    books_close(&sensor, &collector, &ended);
    assert!(proxy.joined() > u64::from(cuts));
}

#[test]
fn a_collector_that_is_restarted_under_load_loses_nothing() {
    require!("root");
    let mut collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    let load = Load::start(&sensor);
    for _ in 0..wait::rounds(5, 2, 20) {
        flows(&sensor, 20);
        collector.terminate();
        collector.start_again();
    }
    flows(&sensor, 20);
    let ended = load.stop();
    books_close(&sensor, &collector, &ended);
}

#[test]
fn a_killed_sensor_and_the_collector_agree_afterwards() {
    require!("root");
    let collector = Collector::start();
    let mut sensor = Setup::default().collector(&collector.grpc).start();
    let load = Load::start(&sensor);
    let (id, dir) = (load.id.clone(), load.dir.clone());
    flows(&sensor, 50);
    sentry_tests::procs::signal(load.run.pid(), nix::sys::signal::Signal::SIGKILL);
    drop(load);
    sensor.kill();
    sensor.start_again();
    flows(&sensor, 20);
    std::fs::write(dir.join("stop"), "").unwrap();
    wait::until("the run is over", || {
        let state = sensor.state_of(&id)["state"].clone();
        if state == "ended" { Ok(()) } else { Err(state.to_string()) }
    });
    let settled = settled(&sensor);
    let (here, there) = (sensor.events(&id), collector.all(&format!("events?run={id}")));
    assert_eq!(uids(&there).len(), there.len(), "no event twice");
    assert_eq!(uids(&there), uids(&here));
    let epochs = collector.all("sensors")[0]["epochs"].clone();
    assert_eq!((number(&epochs[0]["acked"]), number(&epochs[0]["lost"])), (settled, 0), "{epochs:#}");
}

#[test]
fn a_command_of_the_collector_is_carried_out_once() {
    require!("root");
    let collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    let load = Load::start(&sensor);
    flows(&sensor, 20);
    let (id, dir) = (load.id.clone(), load.dir.clone());
    let command = collector.post(&format!("runs/{id}/kill"), &serde_json::json!({"reason": "from afar"}));
    let key = command["key"].as_str().unwrap().to_owned();
    let done = wait::until("the command is done", || {
        let command = collector.get(&format!("commands/{key}"));
        if command["state"] == "done" { Ok(command) } else { Err(command.to_string()) }
    });
    assert_eq!((&done["outcome"]["result"], &done["outcome"]["survivors"]), (&"applied".into(), &0.into()));
    let ended = load.run.wait();
    assert_eq!(ended.code(), Some(137), "{}", programs::text(&ended.output));
    assert!(dir.exists());
    books_close(&sensor, &collector, &ended);
    let outcomes = collector.all(&format!("outcomes?run={id}"));
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    let decisions = collector.all(&format!("decisions?run={id}"));
    assert_eq!(decisions[0]["reason"], "from afar", "{decisions:#?}");
}
