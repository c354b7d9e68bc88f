//! Records → events → detectors' event side and the journal.

use std::sync::Arc;

use sentry_common::abi::RecordHeader;
use sentry_detect::event::EventKind;
use sentry_proto::v1;

use super::{StageStats, hash_queue::HashQueue};
use crate::{
    decode,
    enrich::event::Enricher,
    journal::JournalHandle,
    ring::lanes::{Lanes, Turn},
    runs::{Registry, Whose},
};

/// Where the stage's results go.
pub struct Analyse {
    pub registry: Arc<Registry>,
    pub journal: JournalHandle,
    /// `None`: executed files are not read.
    pub hash: Option<HashQueue>,
}

/// Runs until the queues are closed and empty.
pub fn run(lanes: &Lanes, mut enricher: Enricher, to: &Analyse, stats: &StageStats) {
    while let Some(turn) = lanes.take() {
        stats.progress.begin();
        analyse(&turn, &mut enricher, to, stats);
        stats.progress.rest();
    }
}

fn analyse(turn: &Turn, enricher: &mut Enricher, to: &Analyse, stats: &StageStats) {
    let Analyse { registry, journal, .. } = to;
    let whose = registry.whose(turn.tag);
    match &whose {
        Some(Whose::Live(run)) => run.refused(turn.refused),
        _ => stats.lost(turn.refused.iter().sum()),
    }
    for bytes in &turn.records {
        let header = match decode::header(bytes) {
            Ok(header) => header,
            Err(error) => {
                tracing::error!(%error, "unreadable record");
                stats.lost(1);
                continue;
            }
        };
        let Some(run) = &whose else {
            // Else it ended so long ago that it is forgotten.
            if !registry.of_canary(turn.tag, header.kind) {
                stats.lost(1);
            }
            continue;
        };
        match event(bytes, &header, run, enricher, to) {
            Ok(item) => {
                if journal.submit_event(item) {
                    // The books of a run that has ended are closed.
                    if let Whose::Live(run) = run {
                        run.delivered(header.ring as usize, 1);
                    }
                    stats.handled(1);
                } else {
                    stats.lost(1);
                }
            }
            Err(error) => {
                // Not booked as delivered: the run's books stay open by one, and its report says so.
                tracing::error!(%error, run.id = %run.owner().run, "undecodable record");
                stats.lost(1);
            }
        }
    }
}

fn event(
    bytes: &[u8],
    header: &RecordHeader,
    run: &Whose,
    enricher: &mut Enricher,
    to: &Analyse,
) -> Result<v1::Item, decode::DecodeError> {
    let record = decode::record(bytes)?;
    let event = enricher.event(header, &record, &run.owner());
    if let EventKind::CgroupMove { in_run: true, member_before: false, .. } = event.kind {
        to.registry.want_seed();
    }
    if let Whose::Live(run) = run {
        run.detector().event(&event);
        if let Some(hash) = &to.hash {
            hash.event(run, &event, header.time_boot_ns);
        }
    }
    Ok(v1::Item { item: Some(v1::item::Item::Event(v1::Event::from(&event))) })
}
