//! What the sensor says of itself.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use parking_lot::Mutex;
use sentry_kernel::{bpf::skipped, ring::stats::RingStats};
use sentry_proto::v1;
use sentry_service::watchdog::stuck;
use sentry_view::time::rfc3339;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{canary::CanaryState, watchdog};
use crate::{
    export::ExportStatus,
    journal::{JournalHandle, Refused, Stats},
    learn::agents::Agents,
    runs::Registry,
    stage::{
        StageStats,
        counted::Counted,
        select::{Selecting, Unwatched},
    },
};

/// What [`StatusBoard::health`] says when all is well.
pub const SERVING: &str = "serving";

/// How what is kept stands: ledger, journal, and the runs of earlier lives.
#[derive(Default)]
pub struct StateStatus {
    /// What was not as it was left, found at the start.
    pub troubles: Vec<String>,
    /// Entries that the ledger had to give up.
    pub given_up: Arc<AtomicU64>,
    /// `None`: no baselines are learned.
    pub agents: Option<Arc<Agents>>,
}

impl StateStatus {
    /// What is wrong with it, one line each.
    fn troubles(&self, journal: &Stats) -> Vec<String> {
        let dropped = journal.dropped_disk_full + journal.dropped_spool_full + journal.dropped_queue_full;
        let counted = [
            (dropped, "items did not fit the local store"),
            (self.given_up.load(Relaxed), "ledger entries were given up"),
            (journal.too_large, "items were too large for the local store"),
            (journal.files_replaced, "corrupt files of the local store were replaced"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        let counted = counted.map(|(count, what)| format!("{count} {what}"));
        let baselines = self.agents.iter().flat_map(|agents| agents.troubles());
        self.troubles.iter().cloned().chain(counted).chain(baselines).collect()
    }
}

/// What the stages write of themselves.
pub struct Written {
    pub ring: Arc<RingStats>,
    pub stages: Vec<(&'static str, Arc<StageStats>)>,
    pub selecting: Arc<Selecting>,
    pub counted: Arc<Counted>,
}

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
    /// Of callers; awaited before the stages drain.
    tasks: TaskTracker,
    state: StateStatus,
    pub selecting: Arc<Selecting>,
    pub counted: Arc<Counted>,
    /// Why the configuration was not taken when it was read again.
    config_refused: Mutex<Option<String>>,
}

impl StatusBoard {
    #[must_use]
    pub fn new(
        sensor: String,
        tier: String,
        limits: Vec<String>,
        sensor_limits: Vec<String>,
        written: Written,
        state: StateStatus,
        tasks: TaskTracker,
    ) -> Self {
        let Written { ring, stages, selecting, counted } = written;
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
            tasks,
            state,
            selecting,
            counted,
            config_refused: Mutex::default(),
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

    /// Why the configuration is not the one in the file; `None`: it is.
    pub fn config_refused(&self, why: Option<String>) {
        *self.config_refused.lock() = why;
    }

    /// Ledger entries that were given up.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.state.given_up.load(Relaxed)
    }

    /// How the export stands; `None` without a collector.
    #[must_use]
    pub fn collector(&self) -> Option<ExportStatus> {
        let status = self.export.get()?.borrow().clone();
        status.configured.then_some(status)
    }

    /// Runs a task that serves one caller; it ends with its caller.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// The name of a stage that has ended, if one has.
    fn dead_stage(&self) -> Option<&'static str> {
        self.stages.iter().find(|(_, stats)| !stats.is_alive()).map(|(name, _)| *name)
    }

    /// What keeps the sensor from its work altogether.
    fn dead(&self, journal: &JournalHandle) -> Option<String> {
        if let Some(stage) = self.dead_stage() {
            return Some(format!("stage {stage} has ended"));
        }
        if !journal.is_alive() {
            return Some("the journal has ended".into());
        }
        let stuck = stuck(&watchdog::parts(&self.stages, &self.canary, journal), Instant::now());
        let first = stuck.first()?;
        Some(format!("{} has made no progress for {} s", first.part, first.busy_for.as_secs()))
    }

    /// Whether nothing keeps the sensor from its work.
    #[must_use]
    pub fn is_live(&self, journal: &JournalHandle) -> bool {
        self.dead(journal).is_none()
    }

    /// [`SERVING`], the fault that keeps the sensor from its work, or all that degrades it.
    #[must_use]
    pub fn health(&self, journal: &JournalHandle) -> String {
        if let Some(dead) = self.dead(journal) {
            return dead;
        }
        if let Some(alarm) = self.canary.alarm() {
            return alarm;
        }
        let waiting = journal.refused().map(|Refused { waiting, why }| {
            format!(
                "{waiting} run states, findings, decisions or outcomes wait in memory for the \
                 disk: {why}"
            )
        });
        let collector = self.collector().and_then(|export| feed_trouble(&export, journal));
        let troubles = self.state.troubles(&journal.stats());
        let refused = self.config_refused.lock().clone();
        let all: Vec<String> = waiting.into_iter().chain(troubles).chain(collector).chain(refused).collect();
        match all.as_slice() {
            [] => SERVING.into(),
            all => format!("degraded: {}", all.join("; ")),
        }
    }

    #[must_use]
    pub fn reply(&self, registry: &Registry, journal: &JournalHandle) -> v1::StatusReply {
        let (tier, mut limits, mut faults) = registry.kernel_status();
        limits.extend(self.sensor_limits.iter().cloned());
        let unreadable = self.ring.unreadable.load(Relaxed);
        faults.extend((unreadable > 0).then(|| ("records_unreadable".into(), unreadable)));
        let not_learned = registry.not_learned();
        faults.extend((not_learned > 0).then(|| ("runs_not_learned".into(), not_learned)));
        faults.extend(skipped().map(|count| ("programs_skipped".into(), count)));
        let position = journal.position();
        let collector = self.collector();
        let live = self.dead(journal).is_none();
        let stages = self
            .stages
            .iter()
            .map(|(name, stats)| {
                // What reads the rings has counters of its own.
                let handled = if *name == watchdog::RING { &self.ring.records } else { &stats.handled };
                v1::StageStatus {
                    name: (*name).into(),
                    alive: stats.is_alive(),
                    handled: handled.load(Relaxed),
                    lost: stats.lost.load(Relaxed),
                }
            })
            .collect();
        v1::StatusReply {
            version: env!("CARGO_PKG_VERSION").into(),
            tier,
            limits,
            health: self.health(journal),
            stages,
            spooled_items: if collector.is_some() { position.last - position.confirmed } else { 0 },
            oldest_waiting_unix_ns: journal.stored().oldest_unix_ns.filter(|_| collector.is_some()),
            collector_connected: collector.as_ref().map(|export| export.connected.is_some()),
            collector_since_unix_ns: collector.as_ref().map(|export| export.since_unix_ns),
            collector_error: collector.as_ref().and_then(|export| export.last_error.clone()),
            collector: collector.as_ref().map(in_words),
            acked_seq: position.confirmed,
            last_seq: position.last,
            sensor: self.sensor.clone(),
            epoch: position.epoch.to_string(),
            faults,
            ring_records: self.ring.records.load(Relaxed),
            ring_wakeups: self.ring.wakeups.load(Relaxed),
            live,
            ready: live && self.canary.came_back(),
            unwatched: self.selecting.unwatched().into_iter().map(unwatched).collect(),
            selected_late: self.selecting.late(),
        }
    }
}

fn unwatched(agent: Unwatched) -> v1::UnwatchedAgent {
    let Unwatched { agent, pid, uid, cgroup } = agent;
    v1::UnwatchedAgent { agent, pid, uid, cgroup_path: cgroup }
}

fn in_words(export: &ExportStatus) -> String {
    match &export.connected {
        Some(name) => format!("connected to {name}"),
        None => format!("not connected since {}", since(export)),
    }
}

/// When the outage began, and why there is no stream.
fn since(export: &ExportStatus) -> String {
    let why = export.last_error.as_deref().unwrap_or("the first try is under way");
    format!("{}: {why}", rfc3339(export.since_unix_ns))
}

/// What keeps items from the collector.
fn feed_trouble(export: &ExportStatus, journal: &JournalHandle) -> Option<String> {
    if export.connected.is_none() {
        return Some(format!("no stream to the collector since {}", since(export)));
    }
    let position = journal.position();
    let waiting = position.last - position.confirmed;
    let oldest = journal.stored().oldest_unix_ns.filter(|_| export.behind)?;
    Some(format!(
        "the collector is connected but behind: it has not acknowledged {waiting} items, the oldest of {}",
        rfc3339(oldest)
    ))
}
