//! `cargo xtask count [--update]`: instructions that the sensor's pure parts take for an event, and
//! bytes that it has in a block, against the table `tests/counted.toml`. Unlike times they are the
//! same on a busy machine.
//!
//! Valgrind counts `sentry-recording/examples/counted.rs` for one and for two rounds of the same
//! work: the difference is the work, without what is prepared before it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use toml::Table;

use crate::{
    args::Args,
    cargo, paths,
    step::{self, say},
    tally::Tally,
};

const AREA: &str = "count";
const TABLE: &str = "tests/counted.toml";
const PROFILE: &str = "counted";
const WORKS: [&str; 4] = ["judge", "learn", "pack", "unpack"];
/// A session of an agent that works, and a flood.
const RECORDINGS: [&str; 2] = ["agent-like-20", "open-flood-4"];
/// How far a count may stray from the table, in percent: hash tables are seeded anew each time.
const TOLERANCE: u64 = 5;

/// By work and recording.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let update = args.flag("--update");
    args.done()?;
    let counts = count()?;
    if update {
        let path = paths::root().join(TABLE);
        fs::write(&path, text(&counts)).with_context(|| format!("cannot write {TABLE}"))?;
        say(AREA, format_args!("{TABLE} is written"));
        return Ok(ExitCode::SUCCESS);
    }
    let strays = strays(&counts, &table()?);
    strays.iter().for_each(|stray| say(AREA, stray));
    Ok(if strays.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A test for each count.
pub(crate) fn check() -> Result<Tally> {
    let (counts, table) = (count()?, table()?);
    let strays = strays(&counts, &table);
    let all = counts.values().map(BTreeMap::len).sum::<usize>();
    let mut tally = Tally { passed: all as u64, ..Tally::default() };
    for stray in strays {
        say(AREA, &stray);
        tally.passed = tally.passed.saturating_sub(1);
        tally += &Tally::broken(stray);
    }
    Ok(tally)
}

fn count() -> Result<Counts> {
    let mut build = cargo::workspace("build");
    build.args(["--profile", PROFILE, "-p", "sentry-recording", "--example", "counted"]);
    step::run(AREA, "compile what is counted, optimized", "count-build", &mut build)?;
    let program = paths::target().join(PROFILE).join("examples/counted");
    let mut counts = Counts::new();
    for work in WORKS {
        for recording in RECORDINGS {
            let file = corpus(recording);
            let (once, events) = instructions(&program, work, &file, "1")?;
            let (twice, _) = instructions(&program, work, &file, "2")?;
            let each = twice.saturating_sub(once) / events.max(1);
            say(AREA, format_args!("{work} {recording}: {each} instructions for an event"));
            counts.entry(work.to_owned()).or_default().insert(recording.to_owned(), each);
        }
    }
    for recording in RECORDINGS {
        let [events, blocks, json] = sizes(&program, &corpus(recording))?;
        say(AREA, format_args!("{recording}: {blocks} bytes in blocks, {json} in JSON, {events} events"));
        let mut note = |what: &str, bytes: u64| {
            counts.entry(what.to_owned()).or_default().insert(recording.to_owned(), bytes / events.max(1));
        };
        note("bytes_in_blocks", blocks);
        note("bytes_in_json", json);
    }
    Ok(counts)
}

fn corpus(recording: &str) -> PathBuf {
    paths::root().join(format!("tests/corpus/{recording}.rec"))
}

/// The number of events, and the bytes of all of them in blocks and in compact JSON.
fn sizes(program: &Path, recording: &Path) -> Result<[u64; 3]> {
    let printed = step::capture(Command::new(program).arg("size").arg(recording).arg("0"))?;
    let numbers: Vec<u64> = printed.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("three numbers were expected")
}

/// All instructions of the program, and the number of events that it prints.
fn instructions(program: &Path, work: &str, recording: &Path, rounds: &str) -> Result<(u64, u64)> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = valgrind
        .arg(program)
        .arg(work)
        .arg(recording)
        .arg(rounds)
        .output()
        .context("cannot start valgrind, which counts; `cargo xtask setup` installs it")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{work} of {}: {}\n{said}", recording.display(), output.status);
    }
    // ==4711== Collected : 1234567
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    let events = String::from_utf8_lossy(&output.stdout).trim().parse().context("no number of events")?;
    Ok((collected.context("valgrind counted nothing")?, events))
}

fn table() -> Result<Counts> {
    let text =
        fs::read_to_string(paths::root().join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    let table: Table = text.parse().with_context(|| format!("{TABLE} is not TOML"))?;
    Ok(table.try_into()?)
}

fn text(counts: &Counts) -> String {
    let mut text = String::from(
        "# Instructions, and bytes, for an event, by work and recording. Written by `cargo xtask count\n\
         # --update`; a count that strays by more than a twentieth fails a test.\n",
    );
    for (work, counts) in counts {
        writeln!(text, "\n[{work}]").ok();
        for (recording, count) in counts {
            writeln!(text, "{recording} = {count}").ok();
        }
    }
    text
}

/// A sentence about each count that is not as the table says.
fn strays(counts: &Counts, table: &Counts) -> Vec<String> {
    let mut strays = Vec::new();
    for (work, counts) in counts {
        for (recording, count) in counts {
            let expected = table.get(work).and_then(|counts| counts.get(recording)).copied();
            let is_as_expected =
                expected.is_some_and(|expected| count.abs_diff(expected) * 100 <= expected * TOLERANCE);
            if !is_as_expected {
                let expected = expected.map_or_else(|| "no number".to_owned(), |number| number.to_string());
                strays.push(format!(
                    "{work} {recording} is {count} for an event, where {TABLE} has {expected}; if that is \
                     meant, `cargo xtask count --update`"
                ));
            }
        }
    }
    strays
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(number: u64) -> Counts {
        Counts::from([("pack".to_owned(), BTreeMap::from([("session".to_owned(), number)]))])
    }

    #[test]
    fn a_twentieth_more_or_less_is_as_the_table_says() {
        for same in [950, 1_000, 1_050] {
            assert_eq!(strays(&counts(same), &counts(1_000)), Vec::<String>::new());
        }
        for other in [940, 1_060] {
            assert_eq!(strays(&counts(other), &counts(1_000)).len(), 1);
        }
        let strays = strays(&counts(7), &Counts::new());
        assert!(strays[0].contains("has no number"), "{strays:?}");
    }

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let table: Table = text(&counts(7)).parse().unwrap_or_default();
        assert_eq!(table.try_into(), Ok(counts(7)));
    }
}
