//! What the journal keeps of a run's inputs gives its findings and decisions again.

use sentry_proto::v1;
use sentry_recording::{Encoder, Recording, differences, replay};

use super::*;

/// What `sentry record` gets. The fake kernel's events reach no journal; detection ignores them.
pub(super) fn recorded(sensor: &Sensor, run: &Run) -> Recording {
    let mut encoder = Encoder::new().unwrap();
    let mut bytes = encoder.begin("0");
    bytes.extend(encoder.item(&v1::Item { item: Some(Kind::Run(sensor.stored(run))) }));
    let parts = sensor.runtime.block_on(sensor.journal.tapes(run.id.0.clone())).unwrap();
    parts.iter().for_each(|part| bytes.extend(encoder.part(part)));
    for item in sensor.items() {
        if matches!(item, Kind::Finding(_) | Kind::Decision(_) | Kind::Outcome(_)) {
            bytes.extend(encoder.item(&v1::Item { item: Some(item) }));
        }
    }
    bytes.extend(encoder.end());
    Recording::read(bytes).unwrap()
}

#[test]
fn a_bomb_that_was_stopped_is_judged_again() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let recording = recorded(&sensor, &run);
    let replay = replay(&recording, None).unwrap();
    let acts: Vec<Action> = replay.decisions().map(|decision| decision.action).collect();
    assert_eq!(acts, [Action::Freeze, Action::Kill]);
    assert_eq!(differences(&recording, &replay), []);
    assert_eq!((replay.missing.parts, replay.missing.lives), (0, 0));
}

#[test]
fn a_run_of_two_lives_of_the_sensor_is_judged_again() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Enforce);
    sensor.ticks(Duration::from_secs(2));
    sensor.by_hand(&before, Action::Freeze);
    let mut sensor = sensor.killed_and_started();
    let run = sensor.registry.find("agent").unwrap();
    sensor.by_hand(&run, Action::Thaw);
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let recording = recorded(&sensor, &run);
    let replay = replay(&recording, None).unwrap();
    let acts: Vec<Action> = replay.decisions().map(|decision| decision.action).collect();
    assert_eq!(acts, [Action::Freeze, Action::Thaw, Action::Freeze, Action::Kill]);
    assert_eq!(differences(&recording, &replay), []);
}
