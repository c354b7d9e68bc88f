//! What is normal for an agent, over its runs and over a kill of the sensor.

use super::*;
use sentry_detect::event::{Event, EventKind, File, PathSource, Process};

use crate::{
    config::Baselines,
    learn::{agents::Agents, shelf::Shelf},
    stage::learn::Learn,
};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Baselines = Baselines {
    learn: true,
    window: SECOND,
    min_runs: 3,
    min_windows: 6,
    cool_down: Duration::from_secs(600),
};

/// The stage, on what earlier lives left.
fn learn(sensor: &Sensor) -> (Learn, Arc<Agents>) {
    let shelf = Shelf::open(sensor.dir.path()).unwrap();
    let agents = Arc::new(Agents::new(shelf, CONFIG, sensor.world.clock()));
    (Learn::new(Arc::clone(&sensor.registry), Arc::clone(&agents), sensor.cases.clone()), agents)
}

/// So many executions in each of so many seconds.
fn work(sensor: &mut Sensor, learn: &mut Learn, pid: u32, execs: u64, seconds: u32) {
    for _ in 0..seconds {
        sensor.world.act(pid, execs, Ring::Critical, |block| block.counts.execs += execs);
        sensor.ticks(SECOND);
        learn.pass(&sensor.stats);
        sensor.act();
    }
}

/// A run to its end.
fn run(sensor: &mut Sensor, learn: &mut Learn, execs: u64, seconds: u32) {
    let (run, pid) = sensor.run(Mode::Enforce);
    work(sensor, learn, pid, execs, seconds);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    learn.pass(&sensor.stats);
}

/// Runs and windows that were learned.
fn learned(agents: &Agents) -> (u64, u64) {
    let standings = agents.standings(&["agent".to_owned()]);
    standings
        .first()
        .and_then(|standing| standing.baseline.as_ref())
        .map_or((0, 0), |of| (of.runs, of.windows))
}

#[test]
fn a_departure_is_found_once_and_never_acted_on_and_the_same_work_is_no_finding() {
    let mut sensor = Sensor::new();
    let (mut stage, agents) = learn(&sensor);
    for _ in 0..3 {
        run(&mut sensor, &mut stage, 4, 5);
    }
    assert_eq!(learned(&agents).0, 3);
    run(&mut sensor, &mut stage, 5, 5);
    assert_eq!(sensor.findings(), Vec::<String>::new());
    // Below what `exec-loop` asks for.
    run(&mut sensor, &mut stage, 28, 5);
    assert_eq!(sensor.findings(), ["departure"]);
    let acts: Vec<v1::Action> = sensor.outcomes().into_iter().map(|(action, _)| action).collect();
    assert!(acts.iter().all(|action| *action == v1::Action::Observe), "{acts:?}");
}

#[test]
fn an_agent_that_is_not_known_has_no_finding() {
    let mut sensor = Sensor::new();
    let (mut stage, agents) = learn(&sensor);
    run(&mut sensor, &mut stage, 1, 5);
    run(&mut sensor, &mut stage, 28, 5);
    assert_eq!((sensor.findings(), learned(&agents).0), (Vec::<String>::new(), 2));
}

#[test]
fn what_was_learned_outlives_a_kill() {
    let mut sensor = Sensor::new();
    let (mut stage, agents) = learn(&sensor);
    for _ in 0..3 {
        run(&mut sensor, &mut stage, 4, 5);
    }
    let before = learned(&agents);
    drop((stage, agents));
    let mut sensor = sensor.killed_and_started();
    let (mut stage, agents) = learn(&sensor);
    assert_eq!(learned(&agents), before);
    run(&mut sensor, &mut stage, 28, 5);
    assert_eq!(sensor.findings(), ["departure"]);
}

#[test]
fn a_run_between_two_looks_is_learned() {
    let mut sensor = Sensor::new();
    let (mut stage, agents) = learn(&sensor);
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.act(pid, 3, Ring::Critical, |block| block.counts.execs += 3);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    stage.pass(&sensor.stats);
    assert_eq!(learned(&agents), (1, 1));
}

/// The live run executes a program.
fn execute(sensor: &Sensor, path: &str) {
    let run = sensor.registry.live().pop().unwrap();
    let text = path.to_owned();
    let image = File { path: event::Path { text, source: PathSource::Kernel, truncated: false }, key: None };
    let process = Process { executable: Some(image), ..unknown(ProcessKey { tgid: 7, start_boot_ns: 7 }) };
    let event = Event {
        id: "e".to_owned(),
        run: Arc::new(run.id.clone()),
        agent: Arc::new(run.agent.clone()),
        ring: event::Ring::Critical,
        sequence: 1,
        time_unix_ns: sensor.world.clock().unix_ns(),
        process: Arc::new(process),
        kind: EventKind::Exec { requested: None, script: None, by_thread: None },
    };
    run.events(&[Arc::new(event)], true);
}

#[test]
fn a_first_use_is_found_as_soon_as_there_is_room_for_it() {
    let mut sensor = Sensor::new();
    let (mut stage, _agents) = learn(&sensor);
    for _ in 0..3 {
        run(&mut sensor, &mut stage, 4, 5);
    }
    sensor.run(Mode::Observe);
    stage.pass(&sensor.stats);
    execute(&sensor, "/bin/new");
    let taken: Vec<_> = std::iter::from_fn(|| sensor.cases.try_reserve().ok()).collect();
    stage.pass(&sensor.stats);
    drop(taken);
    stage.pass(&sensor.stats);
    sensor.act();
    assert_eq!(sensor.findings(), ["departure"]);
}

#[test]
fn runs_beyond_what_is_kept_for_learning_are_counted() {
    let mut sensor = Sensor::new();
    sensor.run(Mode::Observe);
    let run = sensor.registry.live().pop().unwrap();
    for _ in 0..1_030 {
        sensor.registry.keep_ended(&run);
    }
    assert_eq!(sensor.registry.not_learned(), 6);
}
