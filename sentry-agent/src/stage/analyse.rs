//! Records → events → detectors' event side and the journal.

use std::{collections::HashMap, sync::Arc};

use sentry_common::{abi::RecordHeader, table::RunTag};
use sentry_detect::event::EventKind;
use sentry_proto::v1;
use tokio::sync::mpsc;

use super::StageStats;
use crate::{
    decode,
    enrich::event::{Enricher, Owner},
    journal::JournalHandle,
    ring::Batch,
    runs::{Registry, Run},
};

/// Runs until the ring's end of the queue is closed and empty.
pub fn run(
    mut batches: mpsc::Receiver<Batch>,
    mut enricher: Enricher,
    registry: &Registry,
    journal: &JournalHandle,
    stats: &StageStats,
) {
    while let Some(batch) = batches.blocking_recv() {
        analyse(&batch, &mut enricher, registry, journal, stats);
    }
}

fn analyse(
    batch: &Batch,
    enricher: &mut Enricher,
    registry: &Registry,
    journal: &JournalHandle,
    stats: &StageStats,
) {
    let mut runs: HashMap<RunTag, Option<Arc<Run>>> = HashMap::new();
    for bytes in batch {
        let header = match decode::header(bytes) {
            Ok(header) => header,
            Err(error) => {
                tracing::error!(%error, "unreadable record");
                stats.lost(1);
                continue;
            }
        };
        let tag = RunTag { slot: header.run_slot, generation: header.run_generation };
        let Some(run) = runs.entry(tag).or_insert_with(|| registry.by_tag(tag)) else {
            // Else it ended so long ago that it is forgotten.
            if !registry.of_canary(tag, header.kind) {
                stats.lost(1);
            }
            continue;
        };
        match event(bytes, &header, run, enricher, registry) {
            Ok(item) => {
                if journal.submit_waiting(item) {
                    run.delivered(header.ring as usize, 1);
                    stats.handled(1);
                } else {
                    stats.lost(1);
                }
            }
            Err(error) => {
                // Not booked as delivered: the run's books stay open by one, and its report says so.
                tracing::error!(%error, run.id = %run.id, "undecodable record");
                stats.lost(1);
            }
        }
    }
}

fn event(
    bytes: &[u8],
    header: &RecordHeader,
    run: &Run,
    enricher: &mut Enricher,
    registry: &Registry,
) -> Result<v1::Item, decode::DecodeError> {
    let record = decode::record(bytes)?;
    let owner = Owner { run: &run.id, event_prefix: &run.event_prefix, agent: &run.agent };
    let event = enricher.event(header, &record, &owner);
    if let EventKind::CgroupMove { in_run: true, member_before: false, .. } = event.kind {
        registry.want_seed();
    }
    run.detector().event(&event);
    Ok(v1::Item { item: Some(v1::item::Item::Event(v1::Event::from(&event))) })
}
