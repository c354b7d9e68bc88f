//! What a tape and a store of events have is what a machine was given: a replay finds and decides
//! the same, and damage is an error.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod sensor;

use std::{fs, path::Path};

use proptest::prelude::*;
use sentry_detect::{
    decision::Action,
    rule::Settings,
    run::{Holds, Mode, machine::Over},
};
use sentry_recording::{Difference, How, Judged, Missing, Recording, RecordingError, differences, replay};

use crate::sensor::{Act, RUN, Sensor, recorded, settings};

/// An agent that works, is frozen and thawed by a person, then loops until it is killed.
fn story() -> Sensor {
    let mut sensor = Sensor::new(Mode::Enforce);
    for n in 0..20 {
        sensor.execs(&["/usr/bin/grep", &format!("word{n}")], 1);
        sensor.reading(100, 20_000);
    }
    sensor.order(Action::Freeze);
    sensor.reading(101, 0);
    sensor.order(Action::Thaw);
    sensor.set(settings(r#"{"exec_loop_hold_ms": 1000}"#));
    for _ in 0..40 {
        sensor.execs(&["/usr/bin/false"], 12);
        sensor.reading(100, 90_000);
    }
    sensor.over(Over::Empty);
    sensor
}

#[test]
fn a_replay_finds_and_decides_what_the_sensor_did() {
    let mut sensor = story();
    assert!(!sensor.judged.is_empty());
    let recording = Recording::read(sensor.recorded()).unwrap();
    let replay = replay(&recording, None).unwrap();
    assert_eq!(replay.judged, sensor.judged);
    assert_eq!(replay.missing, Missing::default());
    assert_eq!(differences(&recording, &replay), []);
}

#[test]
fn other_limits_are_judged_without_the_acts_of_then() {
    let recording = Recording::read(story().recorded()).unwrap();
    let blind = settings(r#"{"exec_loop_execs_per_s": 100000.0}"#);
    let replayed = replay(
        &recording,
        Some(&|agent| {
            assert_eq!(agent, "demo");
            blind.clone()
        }),
    );
    let replayed = replayed.unwrap();
    assert!(replayed.findings().all(|finding| finding.signal.rule.as_str() != "exec-loop"));
    assert!(replayed.decisions().all(|decision| decision.finding.is_some()), "nobody's orders are left");
    let replayed = replay(&recording, Some(&|_| Settings::default())).unwrap();
    assert!(replayed.findings().any(|finding| finding.signal.rule.as_str() == "exec-loop"));
    let acts: Vec<_> = replayed.decisions().map(|decision| decision.action).collect();
    assert!(acts.starts_with(&[Action::Freeze, Action::Kill]), "{acts:?}");
}

#[test]
fn what_is_missing_is_counted() {
    let mut sensor = story();
    sensor.stored.drain(..5);
    let recording = Recording::read(sensor.recorded()).unwrap();
    assert_eq!(replay(&recording, None).unwrap().missing, Missing { events: 5, ..Missing::default() });
    let mut sensor = story();
    sensor.cut();
    sensor.execs(&["/usr/bin/false"], 1);
    sensor.reading(100, 0);
    sensor.cut();
    assert!(sensor.parts.len() > 1);
    sensor.parts.remove(0);
    let recording = Recording::read(sensor.recorded()).unwrap();
    let missing = replay(&recording, None).unwrap().missing;
    assert_eq!(missing, Missing { parts: 1, lives: 1, ..Missing::default() });
}

#[test]
fn a_gap_is_missing_in_the_life_of_the_events_before_it() {
    for lost in [5..8, 0..3] {
        let mut lives = ["", ".1f"].map(|life| Sensor::of_life(Mode::Observe, &format!("{RUN}{life}")));
        for life in &mut lives {
            life.execs(&["/usr/bin/false"], 20);
            life.reading(100, 0);
        }
        let [first, second] = &mut lives;
        first.lost = lost.clone();
        let recording = Recording::read(recorded(&mut [first, second], None)).unwrap();
        let replay = replay(&recording, None).unwrap();
        let missing = Missing { events: 3, ..Missing::default() };
        assert_eq!((replay.missing, replay.events), (missing, 37), "{lost:?}");
    }
}

#[test]
fn a_run_that_lives_is_compared_as_far_as_tape_and_store_both_reach() {
    let recording = |sensor: &mut Sensor| Recording::read(recorded(&mut [sensor], None)).unwrap();
    let differences = |recording: &Recording| differences(recording, &replay(recording, None).unwrap());
    // What was found last is not in the store yet.
    let mut sensor = story();
    let last = sensor.judged.pop();
    assert!(matches!(last, Some(Judged::Found { decisions, .. }) if !decisions.is_empty()));
    assert_eq!(differences(&recording(&mut sensor)), []);
    // What is missing before that is a difference.
    let Judged::Ordered(freeze) = sensor.judged.remove(0) else { unreachable!() };
    let missing = Difference { id: freeze.id, how: How::OnlyNow };
    assert_eq!(differences(&recording(&mut sensor)), [missing]);

    // What was found last came after the tape.
    let mut sensor = Sensor::new(Mode::Observe);
    sensor.reading(100, 0);
    sensor.order(Action::Freeze);
    sensor.cut();
    let (parts, judged) = (sensor.parts.clone(), sensor.judged.len());
    for _ in 0..40 {
        sensor.execs(&["/usr/bin/false"], 12);
        sensor.reading(100, 90_000);
    }
    assert!(sensor.judged.len() > judged);
    sensor.cut();
    sensor.parts = parts;
    assert_eq!(differences(&recording(&mut sensor)), []);
}

#[test]
fn a_tape_that_nobody_takes_parts_of_ends_and_says_so() {
    let mut sensor = Sensor::new(Mode::Observe);
    for n in 0..30_000 {
        sensor.reading(100 + n % 3, n);
    }
    let recording = Recording::read(sensor.recorded()).unwrap();
    assert!(recording.tape_bytes() < 64 << 10);
    assert_eq!(replay(&recording, None).unwrap().missing, Missing { lives: 1, ..Missing::default() });
}

#[test]
fn an_hour_of_an_idle_run_takes_a_few_kilobytes() {
    let mut sensor = Sensor::new(Mode::Observe);
    for n in 0..36_000 {
        if n % 10 == 0 {
            sensor.holds(Holds { memory_bytes: Some(300 << 20), threads: Some(9), ..Holds::default() });
        }
        sensor.reading(100 + u64::from(n % 7 == 0), 0);
        sensor.cut_if_due();
    }
    let bytes: usize = sensor.parts.iter().map(|part| part.body.len() + 100).sum();
    assert!(bytes < 8 << 10, "{bytes}");
}

/// `UPDATE_GOLDEN=1` writes it anew: that is a break with what was recorded before.
#[test]
fn a_recording_of_format_1_is_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.rec");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&file, story().recorded()).unwrap();
    }
    let recording = Recording::read(fs::read(file).unwrap()).unwrap();
    let replay = replay(&recording, None).unwrap();
    assert_eq!((replay.events, replay.readings, replay.missing), (500, 61, Missing::default()));
    let ordered = replay.decisions().filter(|decision| decision.finding.is_none());
    let acts: Vec<_> = ordered.map(|decision| decision.action).collect();
    assert_eq!(acts, [Action::Freeze, Action::Thaw]);
    assert!(replay.findings().any(|finding| finding.signal.rule.as_str() == "exec-loop"));
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused() {
    let bytes = story().recorded();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Recording::read(bytes[..length].to_vec()).is_err(), "cut to {length}");
    }
    for place in (0..bytes.len()).step_by(31) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        assert!(Recording::read(changed).is_err(), "changed at {place}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(Recording::read(longer), Err(RecordingError::Layout { .. })));
    assert!(matches!(Recording::read(b"no recording".to_vec()), Err(RecordingError::Foreign)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_is_replayed(acts in prop::collection::vec(any::<Act>(), 0..120), observe in any::<bool>()) {
        let mut sensor = Sensor::new(if observe { Mode::Observe } else { Mode::Enforce });
        acts.into_iter().for_each(|act| sensor.act(act));
        let recording = Recording::read(sensor.recorded()).unwrap();
        let replay = replay(&recording, None).unwrap();
        // What did not reach the journal may have been found by.
        if sensor.undelivered == 0 {
            prop_assert_eq!(replay.judged, sensor.judged);
        }
        prop_assert_eq!(replay.missing, Missing { events: sensor.undelivered, ..Missing::default() });
    }
}
