//! A kill ends every process of a run, whatever state it is in; a freeze stops every one.

use std::fs;

use sentry_tests::{
    cgroup::{self, TestCgroup},
    procs, programs, require,
    sensor::{Sensor, lines},
    supervised::{Order, Supervised},
    wait,
};

use crate::workload;

/// A run of the tree that `what` names, once all of it is in place.
struct Tree<'a> {
    sensor: &'a Sensor,
    run: Supervised<'a>,
    id: String,
    outside: TestCgroup,
}

impl<'a> Tree<'a> {
    fn grow(sensor: &'a Sensor, what: &str) -> Self {
        let (dir, outside) = (sensor.place("tree"), TestCgroup::new("outside"));
        fs::create_dir(&dir).unwrap();
        let line = [what, dir.to_str().unwrap(), outside.path().to_str().unwrap()];
        let run = Order::new(sensor, "tree").start(&workload("workload_tree", &line));
        let _count = wait::file(&dir.join("ready"));
        let id = run.run();
        Self { sensor, run, id, outside }
    }

    /// Kills it; what is left right after the answer.
    fn kill(self) -> Left {
        let output = self.sensor.cli(&["kill", &self.id, "--json"]);
        let mut alive = procs::marked(self.sensor.mark());
        alive.retain(|pid| *pid != self.run.pid());
        let events = |group: &std::path::Path| {
            let text = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
            text.contains("populated 1")
        };
        let home = cgroup::mount().join("agentsentry").join(&self.id);
        let populated = events(&home) || events(self.outside.path());
        let told = lines(&output.stdout);
        let outcome = told.get(1).cloned().unwrap_or_default();
        assert_eq!(output.status.code(), Some(0), "{}", programs::text(&output));
        let left = Left { alive, populated, survivors: outcome["survivors"].as_u64() };
        assert_eq!(self.run.wait().code(), Some(137));
        left
    }
}

#[derive(Debug, PartialEq)]
struct Left {
    alive: Vec<u32>,
    populated: bool,
    survivors: Option<u64>,
}

const NOTHING: Left = Left { alive: Vec::new(), populated: false, survivors: Some(0) };

/// `cgroup.kill` goes to the thread that has ended.
#[test]
fn a_process_whose_first_thread_has_ended_is_killed() {
    require!("root");
    let sensor = Sensor::start();
    for shape in ["headless", "headless-moved", "headless-returned", "headless-split"] {
        assert_eq!(Tree::grow(&sensor, shape).kill(), NOTHING, "{shape}");
    }
    assert_eq!(sensor.json(&["agents"]), [] as [serde_json::Value; 0]);
}

/// Where its first thread has ended, `cgroup.procs` still has it.
#[test]
fn a_process_that_left_its_first_thread_behind_is_frozen_where_it_is() {
    require!("root");
    let sensor = Sensor::start();
    let tree = Tree::grow(&sensor, "headless-moved");
    let frozen = sensor.json(&["freeze", &tree.id]);
    assert_eq!((&frozen[1]["result"], &frozen[1]["processes"]), (&"applied".into(), &2.into()));
    let threads = fs::read_to_string(tree.outside.path().join("cgroup.threads")).unwrap();
    let states: Vec<_> = threads.lines().map(|thread| procs::state(thread.parse().unwrap())).collect();
    assert_eq!(states, [Some('T'); 2]);
    assert_eq!(tree.kill(), NOTHING);
}

/// The acceptance, with `AGENTSENTRY_LONG=1`: 200 of 200.
#[test]
fn a_kill_empties_every_tree() {
    require!("root");
    let rounds = wait::rounds(20, 3, 200);
    let sensor = Sensor::start();
    let mut empty = 0;
    for seed in 1..=rounds {
        let tree = Tree::grow(&sensor, &seed.to_string());
        if seed % 4 == 0 {
            // Not applied where a member outside waits for a vfork child: it is killed all the
            // same.
            let code = sensor.cli(&["freeze", &tree.id]).status.code();
            assert!(matches!(code, Some(0 | 2)), "seed {seed}: {code:?}");
        }
        assert_eq!(tree.kill(), NOTHING, "seed {seed}");
        empty += 1;
    }
    println!("{empty} of {rounds} trees empty");
    assert_eq!(sensor.json(&["agents"]), [] as [serde_json::Value; 0]);
}
