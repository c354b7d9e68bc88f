//! What the sensor says of itself.

use std::{
    future::Future,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
};

use sentry_proto::v1;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::canary::CanaryState;
use crate::{
    bpf::skipped, export::ExportStatus, journal::JournalHandle, ring::reader::RingStats, runs::Registry,
    stage::StageStats,
};

/// State that the control socket shows; written by the stages.
pub struct StatusBoard {
    pub sensor: String,
    pub tier: String,
    limits: Vec<String>,
    /// What keeps the sensor from reading executed files, where it should.
    sensor_limits: Vec<String>,
    pub ring: Arc<RingStats>,
    pub stages: Vec<(&'static str, Arc<StageStats>)>,
    pub canary: Arc<CanaryState>,
    export: OnceLock<watch::Receiver<ExportStatus>>,
    tasks: TaskTracker,
}

impl StatusBoard {
    #[must_use]
    pub fn new(
        sensor: String,
        tier: String,
        limits: Vec<String>,
        sensor_limits: Vec<String>,
        ring: Arc<RingStats>,
        stages: Vec<(&'static str, Arc<StageStats>)>,
    ) -> Self {
        let canary = Arc::new(CanaryState::default());
        Self {
            sensor,
            tier,
            limits,
            sensor_limits,
            ring,
            stages,
            canary,
            export: OnceLock::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// What is not seen on this host.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        self.limits.iter().chain(&self.sensor_limits).cloned().collect()
    }

    /// Gives the board the export's own status; once.
    pub fn export(&self, status: watch::Receiver<ExportStatus>) {
        let _only_once = self.export.set(status);
    }

    /// How the export stands; `None` without a collector.
    fn collector(&self) -> Option<ExportStatus> {
        let status = self.export.get()?.borrow().clone();
        status.configured.then_some(status)
    }

    /// Runs a task that serves one caller; it ends with its caller.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// The name of a stage that has ended, if one has.
    #[must_use]
    pub fn dead_stage(&self) -> Option<&'static str> {
        self.stages.iter().find(|(_, stats)| !stats.is_alive()).map(|(name, _)| *name)
    }

    #[must_use]
    pub fn reply(&self, registry: &Registry, journal: &JournalHandle) -> v1::StatusReply {
        let (tier, mut limits, mut faults) = registry.kernel_status();
        limits.extend(self.sensor_limits.iter().cloned());
        faults.extend(skipped().map(|count| ("programs_skipped".into(), count)));
        let position = journal.position();
        let lost = journal.stats();
        let collector = self.collector();
        let dropped = lost.dropped_disk_full + lost.dropped_spool_full + lost.dropped_queue_full;
        let health = match (self.dead_stage(), self.canary.alarm()) {
            (Some(stage), _) => format!("stage {stage} has ended"),
            _ if !journal.is_alive() => "the journal has ended".into(),
            (None, Some(alarm)) => alarm,
            _ if dropped > 0 => format!("degraded: {dropped} items did not fit the local store"),
            (None, None) => match collector.as_ref().and_then(unreached) {
                Some(why) => format!("degraded: no stream to the collector: {why}"),
                None => "serving".into(),
            },
        };
        let stages = self
            .stages
            .iter()
            .map(|(name, stats)| v1::StageStatus {
                name: (*name).into(),
                alive: stats.is_alive(),
                handled: stats.handled.load(Relaxed),
                lost: stats.lost.load(Relaxed),
            })
            .collect();
        v1::StatusReply {
            version: env!("CARGO_PKG_VERSION").into(),
            tier,
            limits,
            health,
            stages,
            spooled_items: if collector.is_some() { position.last - position.confirmed } else { 0 },
            collector: collector.as_ref().map(in_words),
            acked_seq: position.confirmed,
            last_seq: position.last,
            sensor: self.sensor.clone(),
            epoch: position.epoch.to_string(),
            faults,
            ring_records: self.ring.records.load(Relaxed),
            ring_wakeups: self.ring.wakeups.load(Relaxed),
        }
    }
}

fn in_words(export: &ExportStatus) -> String {
    match (&export.connected, &export.last_error) {
        (Some(name), _) => format!("connected to {name}"),
        (None, Some(error)) => format!("not connected: {error}"),
        (None, None) => "not connected yet".into(),
    }
}

/// Why there is no stream, where a try has failed.
fn unreached(export: &ExportStatus) -> Option<&str> {
    export.connected.is_none().then_some(export.last_error.as_deref()).flatten()
}
