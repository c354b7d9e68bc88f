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
/// missing. What the sensor found by itself, without the core, is left out.
#[must_use]
pub fn differences(recording: &Recording, replay: &Replay) -> Vec<Difference> {
    let findings: Vec<v1::Finding> = replay.findings().map(v1::Finding::from).collect();
    let decisions: Vec<v1::Decision> = replay.decisions().map(v1::Decision::from).collect();
    let is_of_core = |finding: &&v1::Finding| !finding.id.ends_with("-f-0");
    let then = recording.findings().iter().filter(is_of_core).map(|finding| (finding.id.as_str(), finding));
    let now = findings.iter().map(|finding| (finding.id.as_str(), finding));
    let mut all = compared(then.collect(), now.collect());
    let then = recording.decisions().iter().map(|decision| (decision.id.as_str(), decision));
    let now = decisions.iter().map(|decision| (decision.id.as_str(), decision));
    all.extend(compared(then.collect(), now.collect()));
    // What was found of a run that lives may be on its way to the store.
    let newest = recording.findings().iter().map(|finding| finding.time_unix_ns).max().unwrap_or_default();
    if recording.run().ended_unix_ns.is_none() {
        let is_new =
            |id: &str| findings.iter().any(|finding| finding.id == id && finding.time_unix_ns > newest);
        all.retain(|difference| difference.how != How::OnlyNow || !is_new(&difference.id));
    }
    all
}

fn compared<T: PartialEq>(mut then: BTreeMap<&str, &T>, now: Vec<(&str, &T)>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (id, value) in now {
        let how = match then.remove(id) {
            None => How::OnlyNow,
            Some(before) if before != value => How::Other,
            Some(_) => continue,
        };
        differences.push(Difference { id: id.to_owned(), how });
    }
    differences.extend(then.into_keys().map(|id| Difference { id: id.to_owned(), how: How::OnlyThen }));
    differences
}
