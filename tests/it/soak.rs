//! A sensor that has lived long holds what it held when it was young.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use sentry_tests::{
    cgroup,
    holdings::{Holdings, growth, resident_kib},
    procs, programs, require,
    sensor::Sensor,
    supervised::Order,
    wait,
};

use crate::workload;

/// Runs at one time.
const LANES: usize = 2;
/// Short processes of each run.
const PROCESSES: usize = 100;

#[test]
fn the_limit_of_open_files_is_as_high_as_it_may_be() {
    require!("root");
    let sensor = Sensor::start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", sensor.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}

#[test]
fn a_long_life_leaks_nothing() {
    require!("root");
    // In the long form 30 minutes, 1000 runs and 100,000 processes at least.
    let life = Duration::from_secs(wait::rounds(0, 0, 30 * 60).into());
    let least = wait::rounds(20, 4, 1_000) as usize;
    let sensor = Sensor::start();
    let file = sensor.scratch().join("file");
    fs::write(&file, "").unwrap();
    let command = workload("workload_exec_loop", &[&PROCESSES.to_string(), file.to_str().unwrap()]);
    // What is made with the first run stays.
    let ended = Order::new(&sensor, "soak").finish(&command);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let before = wait::until("nothing is left of the first run", || settled(&sensor));
    let started = Instant::now();
    let (runs, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let ended = Order::new(&sensor, "soak").finish(&command);
                        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
                        assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
                        runs.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut counted = 0;
        while counted < least || started.elapsed() < life {
            counted = wait::until("a run ends", || match runs.load(Ordering::Relaxed) {
                _ if lanes.iter().any(std::thread::ScopedJoinHandle::is_finished) => Ok(usize::MAX),
                now if now > counted => Ok(now),
                now => Err(format!("{now} runs have ended")),
            });
            memory.push((started.elapsed().as_secs_f64(), resident_kib(sensor.pid()) as f64));
        }
        over.store(true, Ordering::Relaxed);
    });
    let runs = runs.into_inner();
    let after = wait::until("it holds what it held", || match settled(&sensor)? {
        after if after.is_within(&before) => Ok(after),
        more => Err(format!("{more:?}, more than {before:?}")),
    });
    // The first third warms up.
    let warm = &memory[memory.len() / 3..];
    let (growth, last) = (growth(warm), memory.last().map_or(0.0, |point| point.1));
    println!(
        "soak: {runs} runs and {} processes in {:?}; resident {last} KiB, {:.2} % of growth after warming \
        up; {after:?}",
        runs * PROCESSES,
        started.elapsed(),
        growth * 100.0,
    );
    if wait::long() {
        assert!(growth < 0.01, "resident memory: {warm:?}");
    }
    let log = fs::metadata(sensor.state_dir().join("journal.db-wal")).unwrap().len();
    assert!(log <= 64 << 20, "the journal's write-ahead log has {log} bytes");
    assert!(procs::is_alive(sensor.pid()));
}

/// What the sensor holds once nothing runs: no group is left, and the programs are detached that
/// only a run needs.
fn settled(sensor: &Sensor) -> Result<Holdings, String> {
    let live = sensor.json(&["agents"]);
    let groups = cgroup::of_runs(&sensor.state_dir().join("ledger"));
    let log = sensor.log();
    let (attached, detached) =
        (log.matches("programs are attached").count(), log.matches("programs are detached").count());
    if live.is_empty() && groups.is_empty() && attached == detached {
        return Ok(Holdings::of(sensor.pid()));
    }
    Err(format!("live: {live:?}, groups: {groups:?}, attached {attached} and detached {detached} times"))
}
