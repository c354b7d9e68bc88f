//! What has to make progress for the service manager's watchdog to get its beat: the stages and the
//! canary. A hook that has gone silent is an alarm and no reason to restart: the canary flew.
//!
//! The thread that counts moved bytes is not among them: a file system that a watched process
//! brought along may keep it waiting, and nothing waits for it. Nor is the ledger's: an act waits
//! for it for a tenth of a second at most. Nor is `learn`, which waits for the disk alone.

use std::{sync::Arc, time::Duration};

use sentry_service::watchdog::Part;

use super::canary::CanaryState;
use crate::{journal::JournalHandle, stage::StageStats};

/// The stage that everything else's fate passes through; the last to be started and to end.
pub(crate) const ACT: &str = "act";
pub(crate) const RING: &str = "ring";
pub(crate) const ANALYSE: &str = "analyse";
pub(crate) const SELECT: &str = "select";
/// Writes baselines to the disk; nothing waits for it.
pub(crate) const LEARN: &str = "learn";
/// The stages that wait while the journal's queue is full; `select` waits for `act`.
const INTO_JOURNAL: [&str; 3] = [ACT, ANALYSE, SELECT];

/// Longest time for one piece of work of a stage. The longest that is bounded by itself takes 12 s
/// (a file that is read for its digest), an act 7 s (a freeze and a kill that the kernel does not
/// confirm). The rest is for machines on which everything else stands still.
const STAGE: Duration = Duration::from_secs(60);
/// Longest time between two turns of the canary: it may fly for 30 s, and wait for one that was
/// asked for by `sentry health`.
const CANARY: Duration = Duration::from_secs(120);

/// All that has to make progress. Who hands items to the journal waits while its queue is full:
/// that is the disk's fault.
pub(crate) fn parts(
    stages: &[(&'static str, Arc<StageStats>)],
    canary: &CanaryState,
    journal: &JournalHandle,
) -> Vec<Part> {
    let of_stage = |(name, stats): &(&'static str, Arc<StageStats>)| Part {
        name,
        progress: Arc::clone(&stats.progress),
        limit: STAGE,
        waits_for: INTO_JOURNAL.contains(name).then(|| journal.progress()),
    };
    let canary = Part { name: "canary", progress: canary.progress(), limit: CANARY, waits_for: None };
    stages.iter().filter(|(name, _)| *name != LEARN).map(of_stage).chain([canary]).collect()
}
