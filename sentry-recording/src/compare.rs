//! What a replay found and decided, against what the sensor had.

use std::collections::BTreeMap;

use sentry_proto::v1;

use crate::{file::Recording, replay::Replay};

/// A finding or decision that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of the finding or decision.
    pub id: String,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The replay has not made it.
    OnlyThen,
    /// The sensor has not.
    OnlyNow,
    /// Both have, and it says something else.
    Other,
}

/// What a replay by the same limits has made otherwise than the sensor: nothing, where nothing is
/// missing. What the sensor found by itself, without the core, is left out; of a run that lives, so
/// is what may not have reached the store yet, and what came behind its tape.
#[must_use]
pub fn differences(recording: &Recording, replay: &Replay) -> Vec<Difference> {
    let until = until(recording, replay);
    let findings: Vec<v1::Finding> = replay.findings().map(v1::Finding::from).collect();
    let is_compared = |finding: &&v1::Finding| finding.time_unix_ns <= until && !finding.id.ends_with("-f-0");
    let id = |finding: &v1::Finding| finding.id.clone();
    let then = recording.findings().iter().filter(is_compared);
    let mut all = compared(then, findings.iter().filter(is_compared), id);
    let decisions: Vec<v1::Decision> = replay.decisions().map(v1::Decision::from).collect();
    let is_compared = |decision: &&v1::Decision| decision.time_unix_ns <= until;
    let id = |decision: &v1::Decision| decision.id.clone();
    let then = recording.decisions().iter().filter(is_compared);
    all.extend(compared(then, decisions.iter().filter(is_compared), id));
    all
}

/// Up to when both the store and the tape reach.
fn until(recording: &Recording, replay: &Replay) -> u64 {
    if recording.run().ended_unix_ns.is_some() {
        return u64::MAX;
    }
    let findings = recording.findings().iter().map(|finding| finding.time_unix_ns);
    let decisions = recording.decisions().iter().map(|decision| decision.time_unix_ns);
    findings.chain(decisions).max().unwrap_or_default().min(replay.ended_unix_ns)
}

fn compared<'a, T: PartialEq + 'a>(
    then: impl Iterator<Item = &'a T>,
    now: impl Iterator<Item = &'a T>,
    id: impl Fn(&T) -> String,
) -> Vec<Difference> {
    let mut then: BTreeMap<String, &T> = then.map(|value| (id(value), value)).collect();
    let mut differences = Vec::new();
    for value in now {
        let id = id(value);
        let how = match then.remove(&id) {
            None => How::OnlyNow,
            Some(before) if before != value => How::Other,
            Some(_) => continue,
        };
        differences.push(Difference { id, how });
    }
    differences.extend(then.into_keys().map(|id| Difference { id, how: How::OnlyThen }));
    differences
}
