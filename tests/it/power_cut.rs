//! kill -9 and power cuts at many moments: each life of the sensor takes up all that lives.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use sentry_tests::{
    cgroup::TestCgroup,
    programs, require,
    sensor::{Sensor, Setup},
    wait,
};

use crate::take_up::{agents, end_members, lasting};

/// Numbers that look random and come again with the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

fn newest_segment(state: &Path) -> PathBuf {
    let mut segments: Vec<PathBuf> =
        fs::read_dir(state.join("ledger")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    segments.sort();
    segments.pop().unwrap()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The end of a file is not what was written: it is cut, or bytes of it are others.
fn tear(path: &Path, within: u64, dice: &mut Dice) {
    let length = length(path);
    if length < 2 {
        return;
    }
    let from = length - 1 - dice.below(within.min(length - 1));
    if dice.below(3) > 0 {
        File::options().write(true).open(path).unwrap().set_len(from).unwrap();
        return;
    }
    let mut content = fs::read(path).unwrap();
    for _ in 0..8 {
        let at = from + dice.below(length - from);
        content[usize::try_from(at).unwrap()] ^= 1 << dice.below(8);
    }
    fs::write(path, content).unwrap();
}

/// As a disk may be after a power cut that had not written all it said it had.
fn cut_power(state: &Path, dice: &mut Dice) {
    let (wal, shm) = (state.join("journal.db-wal"), state.join("journal.db-shm"));
    // One of the two, or both.
    let which = dice.below(3);
    if which != 1 && wal.exists() {
        let within = if dice.below(2) == 0 { 8 << 10 } else { u64::MAX };
        tear(&wal, within, dice);
    }
    if which != 0 {
        tear(&newest_segment(state), 2 << 10, dice);
    }
    if dice.below(2) == 0 {
        fs::remove_file(shm).ok();
    }
}

/// Short runs, one after the other, so that there is always something being written.
fn churn(sensor: &Sensor) -> programs::Gathered {
    let script = r#"while :; do "$0" run -q --name churn -- /bin/true; sleep 0.02; done"#;
    let mut shell = Command::new("/bin/sh");
    sensor.beside(shell.arg("-c").arg(script).arg(programs::path("sentry")))
}

#[test]
fn each_life_takes_up_all_that_lives() {
    require!("root");
    let seed = u64::from(std::process::id()) | 1 << 40;
    let mut dice = Dice(seed);
    let mut sensor = Setup::default().start();
    let service = TestCgroup::new("service");
    let tagged = sensor.json(&["tag", service.path().to_str().unwrap(), "--name", "tagged"]);
    let mut live = vec![tagged[0]["id"].as_str().unwrap().to_owned()];
    let _churn = churn(&sensor);
    let mut troubles: BTreeMap<String, u32> = BTreeMap::new();
    let points = wait::rounds(4, 2, 200);
    for point in 0..points {
        live.push(lasting(&sensor, &format!("run-{point}"), &[]));
        // The first stays to the end.
        let ends = (live.len() > 5).then(|| live.remove(1 + usize::try_from(dice.below(4)).unwrap()));
        let while_away = dice.below(2) == 0;
        if let Some(ends) = ends.as_deref().filter(|_| !while_away) {
            end_members(ends);
        }
        let segment = newest_segment(&sensor.state_dir());
        let wanted = length(&segment) + dice.below(6 << 10);
        wait::until("the sensor has written some more", || {
            if length(&segment) >= wanted || segment != newest_segment(&sensor.state_dir()) {
                Ok(())
            } else {
                Err("not yet".to_owned())
            }
        });
        sensor.kill();
        if point % 2 == 1 {
            cut_power(&sensor.state_dir(), &mut dice);
        }
        if let Some(ends) = ends.as_deref().filter(|_| while_away) {
            end_members(ends);
        }
        sensor.start_again();
        let watched: BTreeSet<String> = agents(&sensor).into_iter().collect();
        let missing: Vec<&String> = live.iter().filter(|run| !watched.contains(*run)).collect();
        assert!(missing.is_empty(), "{missing:?} at point {point}, seed {seed}: {}", sensor.log());
        if let Some(ends) = ends {
            wait::until("the run that has ended is not watched", || {
                if agents(&sensor).contains(&ends) { Err(format!("{ends}, seed {seed}")) } else { Ok(()) }
            });
        }
        let _entries = sensor.verified_ledger();
        let health = sensor.health()["health"].as_str().unwrap().to_owned();
        for (what, known) in [
            ("the ledger was changed", "ledger set aside"),
            ("a crash tore", "signed entry torn"),
            ("older copy", "older ledger"),
            ("the journal was corrupt", "journal set aside"),
            ("the journal was missing", "journal began anew"),
            ("of unknown origin", "run found in its cgroup"),
        ] {
            *troubles.entry(known.to_owned()).or_default() += u32::from(health.contains(what));
        }
    }
    let in_the_ledger = sensor.log().matches("run that only the ledger had").count();
    eprintln!("{in_the_ledger} runs found in the ledger alone");
    eprintln!("{points} points, seed {seed}: {troubles:?}");
}
