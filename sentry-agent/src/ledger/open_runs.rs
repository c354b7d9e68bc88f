//! Which runs began and have not ended, by the newest segments of a ledger.

use std::{
    collections::{BTreeMap, HashSet},
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use sentry_proto::v1;
use sentry_service::error_chain;
use sentry_view::{Mode, RunStart};
use serde::Deserialize as _;

use super::{
    LINE_LIMIT,
    entry::Entry,
    record::{RUN_END, RUN_START},
    store,
};

/// Segments that are looked through: 256 MiB. A run that began before them is not found.
const SEGMENTS: usize = 16;
/// What comes behind the body has at most so many bytes: chain, fingerprints, kind, number and
/// time.
const END_OF_LINE: usize = 512;

/// What a ledger says of runs.
#[derive(Debug, Default, PartialEq)]
pub struct OpenRuns {
    /// Begun, without an end, as they were at their beginning.
    pub open: BTreeMap<String, v1::Run>,
    /// Ended, of those that were asked about.
    pub ended: HashSet<String>,
}

/// Looks through the ledger in `dir`. An entry that is not whole is passed over: this is for those
/// who have to find what is left, not a proof.
#[must_use]
pub fn open_runs(dir: &Path, asked: &HashSet<String>) -> OpenRuns {
    let mut runs = OpenRuns::default();
    let numbers = store::segments(dir).unwrap_or_default();
    for number in &numbers[numbers.len().saturating_sub(SEGMENTS)..] {
        let path = dir.join(store::name(*number));
        let read =
            sentry_private::open(&path, OpenOptions::new().read(true)).map_err(|error| error_chain(&error));
        let read = read.and_then(|file| {
            segment(&mut BufReader::new(file), asked, &mut runs).map_err(|error| error.to_string())
        });
        if let Err(error) = read {
            tracing::warn!(path = %path.display(), error, "not all of a ledger segment is read");
        }
    }
    runs
}

fn segment(
    input: &mut impl std::io::BufRead,
    asked: &HashSet<String>,
    runs: &mut OpenRuns,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE_LIMIT + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let is = |kind: &str| {
            let named = format!(r#""kind":"{kind}""#);
            let end = &line[line.len().saturating_sub(END_OF_LINE)..];
            end.windows(named.len()).any(|window| window == named.as_bytes())
        };
        if !is(RUN_START) && !is(RUN_END) {
            continue;
        }
        let Ok(entry) = Entry::parse(line.strip_suffix(b"\n").unwrap_or(&line)) else { continue };
        let Some(id) = entry.body["run"].as_str().map(str::to_owned) else { continue };
        if entry.kind == RUN_START {
            runs.ended.remove(&id);
            match RunStart::deserialize(&entry.body) {
                Ok(start) => {
                    runs.open.insert(id, begun(start, entry.time.parse().unwrap_or_default()));
                }
                Err(error) => tracing::warn!(run = id, %error, "the beginning of a run cannot be read"),
            }
        } else if entry.kind == RUN_END {
            runs.open.remove(&id);
            if asked.contains(&id) {
                runs.ended.insert(id);
            }
        }
    }
}

/// The run as [`super::Ledger::run_started`] wrote it, or an older version of it.
fn begun(start: RunStart, started_unix_ns: u64) -> v1::Run {
    let agent = start.agent.unwrap_or_default();
    let mode = match start.mode {
        Mode::Enforce => v1::Mode::Enforce,
        Mode::Observe | Mode::Unknown => v1::Mode::Observe,
    };
    v1::Run {
        id: start.run,
        agent: Some(v1::Agent { id: agent.id, name: agent.name }),
        state: v1::RunState::Running.into(),
        mode: mode.into(),
        uid: start.uid,
        command: start.command,
        command_truncated: start.command_truncated,
        cgroup_path: start.cgroup_path,
        cgroup_id: start.cgroup_id,
        selected_by: start.selected_by,
        started_unix_ns,
        ..v1::Run::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    fn run(id: &str) -> v1::Run {
        v1::Run {
            id: id.to_owned(),
            agent: Some(v1::Agent { id: "a".into(), name: "a".into() }),
            state: v1::RunState::Running.into(),
            mode: v1::Mode::Enforce.into(),
            uid: 7,
            command: vec!["sh".into(), r#""kind":"run-end""#.into()],
            command_truncated: true,
            cgroup_path: format!("/agentsentry/{id}"),
            cgroup_id: u64::MAX - 3,
            selected_by: "a unit".into(),
            started_unix_ns: 5,
            ..v1::Run::default()
        }
    }

    #[test]
    fn what_began_and_did_not_end_is_found_as_it_began() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(open_runs(dir.path(), &HashSet::new()), OpenRuns::default());
        // Small segments: they are read one after the other.
        let mut ledger = Ledger::open_with(dir.path(), 2_000).unwrap();
        for n in 0..12 {
            ledger.run_started(&run(&format!("r{n}"))).unwrap();
            ledger.append("note", serde_json::json!({ "run": "r1" }), 1).unwrap();
        }
        for n in (0..12).filter(|n| n % 4 != 1) {
            ledger.run_ended(&run(&format!("r{n}"))).unwrap();
        }
        drop(ledger);
        // A torn end does not hide what is before it.
        let segments = store::segments(dir.path()).unwrap();
        let newest = dir.path().join(store::name(*segments.last().unwrap()));
        let mut content = std::fs::read(&newest).unwrap();
        content.extend_from_slice(b"{\"body\":");
        std::fs::write(newest, content).unwrap();

        let asked = HashSet::from(["r0".to_owned(), "r1".to_owned()]);
        let found = open_runs(dir.path(), &asked);
        let open: Vec<&v1::Run> = found.open.values().collect();
        assert_eq!(open, [&run("r1"), &run("r5"), &run("r9")]);
        assert_eq!(found.ended, HashSet::from(["r0".to_owned()]));
    }
}
