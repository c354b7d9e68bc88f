//! Records → events → detectors' event side and the journal.

use std::sync::{Arc, mpsc::SyncSender};

use sentry_detect::event::{Event, EventKind};
use sentry_kernel::{
    decode::{DecodeError, Raw},
    ring::lanes::{Lanes, Turn, Until},
};

use super::{StageStats, hash_queue::HashQueue, select::Asked};
use crate::{
    enrich::event::{Enricher, Owner},
    journal::JournalHandle,
    runs::{Registry, Whose, candidates::Standing},
};

/// Where the stage's results go.
pub struct Analyse {
    pub registry: Arc<Registry>,
    pub journal: JournalHandle,
    /// `None`: executed files are not read.
    pub hash: Option<HashQueue>,
    /// Cgroups that may be an agent's.
    pub asked: SyncSender<Asked>,
}

/// Runs until the queues are closed and empty.
pub fn run(lanes: &Lanes, mut enricher: Enricher, to: &Analyse, stats: &StageStats) {
    while let Some(turn) = lanes.take() {
        stats.progress.begin();
        match to.registry.whose(turn.tag) {
            Some(whose) => analyse(&turn, &whose, &mut enricher, to, stats),
            None => match to.registry.standing(turn.tag) {
                Some(Standing::Undecided) => ask(turn, lanes, to, stats),
                Some(Standing::Refused) => let_go(&turn, to, stats),
                None => of_canary(&turn, to, stats),
            },
        }
        stats.progress.rest();
    }
}

/// Keeps the records of a candidate until it is decided on, and asks for that with the one that
/// says what it is.
fn ask(turn: Turn, lanes: &Lanes, to: &Analyse, stats: &StageStats) {
    let tag = turn.tag;
    let Some(asked) = turn.records.iter().find_map(|record| Asked::of(tag, record)) else {
        return lanes.park(turn, Until::More);
    };
    // First: it may be decided, and released, at once.
    lanes.park(turn, Until::Released);
    if to.asked.try_send(asked).is_err() {
        // Look for it again among the undecided ones.
        stats.lost(1);
    }
}

/// Records of what is no agent's. Something may have been executed while that was decided.
fn let_go(turn: &Turn, to: &Analyse, stats: &StageStats) {
    stats.handled(turn.records.len() as u64);
    for asked in turn.records.iter().filter_map(|record| Asked::of(turn.tag, record)) {
        if asked.is_about_an_execution() && to.asked.try_send(asked).is_err() {
            stats.lost(1);
        }
    }
}

fn of_canary(turn: &Turn, to: &Analyse, stats: &StageStats) {
    stats.lost(turn.refused.iter().sum());
    for record in &turn.records {
        // Otherwise it ended so long ago that it was forgotten.
        if !to.registry.of_canary(turn.tag, record.header().kind) {
            stats.lost(1);
        }
    }
}

fn analyse(turn: &Turn, whose: &Whose, enricher: &mut Enricher, to: &Analyse, stats: &StageStats) {
    match whose {
        Whose::Live(run) => run.refused(turn.refused),
        Whose::Ended(_) => stats.lost(turn.refused.iter().sum()),
    }
    let owner = whose.owner();
    let mut events = Vec::with_capacity(turn.records.len());
    for raw in &turn.records {
        match event(raw, whose, &owner, enricher, to) {
            Ok(event) => events.push(Arc::new(event)),
            Err(error) => {
                // Not booked as delivered: the run's books stay open by one, and its report shows
                // that.
                tracing::error!(%error, run.id = %owner.run, "undecodable record");
                stats.lost(1);
            }
        }
    }
    let delivered = to.journal.submit_events(events.clone());
    // The books of a run that has ended are closed.
    if let Whose::Live(run) = whose {
        run.events(&events, delivered);
    }
    let count = events.len() as u64;
    if delivered { stats.handled(count) } else { stats.lost(count) }
}

fn event(
    raw: &Raw,
    run: &Whose,
    owner: &Owner<'_>,
    enricher: &mut Enricher,
    to: &Analyse,
) -> Result<Event, DecodeError> {
    let event = enricher.event(raw.header(), &raw.decode()?, owner);
    if let EventKind::CgroupMove { in_run: true, member_before: false, .. } = event.kind {
        to.registry.want_seed();
    }
    // Before it is booked as delivered: who waits for that finds it in the list of executed files.
    if let (Whose::Live(run), Some(hash)) = (run, &to.hash) {
        hash.event(run, &event, raw.header().time_boot_ns);
    }
    Ok(event)
}
