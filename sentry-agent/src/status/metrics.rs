//! The sensor's numbers, as they are shown: read where they are kept, when somebody asks.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sentry_common::{abi::ring, fault};
use sentry_detect::run::{Mode, State};
use sentry_kernel::{bpf::hooks::Tier, clock::Clock, ring::stats::RingStats};
use sentry_proto::v1;
use sentry_service::{
    metrics,
    metrics::{Build, Family, Kind, Sample, Values},
};

use super::board::{SERVING, StatusBoard};
use crate::{
    config::{Journal, Rings},
    journal::JournalHandle,
    runs::Registry,
};

/// Values of labels, and a number for each.
type Each<const N: usize = 1, T = u64> = Vec<([&'static str; N], T)>;

metrics! {
    /// What is read when somebody asks.
    struct Read in "agentsentry_sensor_" {
        Gauge build_info ["version"]: Build, "1, for the version that runs.";
        Gauge start_time_seconds: f64, "When the sensor started, Unix time.";
        Gauge live: bool, "1 while nothing has ended and nothing stands still.";
        Gauge ready: bool, "1 while it is live and the last canary came back through every hook.";
        Gauge serving: bool, "1 while `sentry health` says serving.";
        Gauge tier ["tier"]: Each<1, bool>, "1, for what file facts are seen by on this kernel.";
        Gauge hooks_attached: u64, "Programs at their hooks; most are there only while a run exists.";
        Gauge hooks_missing: u64, "Hooks that this kernel lacks or refuses.";
        Gauge canary_age_seconds: Option<f64>,
            "Since all of a canary last came back. Canaries fly while runs exist; absent before the first.";
        Gauge canary_silent_hooks: u64, "Hooks that were silent for the last canary.";
        Gauge runs ["phase", "mode"]: Each<2>, "Runs that have not ended.";
        Gauge rules: u64, "Rules of your own that hold.";
        Counter rules_judged_events_total: u64, "Events that such a rule asks for.";
        Counter rules_errors_total: u64,
            "Conditions of such rules that had no answer for an event: the rule did not match.";
        Counter rules_given_up_events_total: u64, "Events that the windows of such rules had no room for.";
        Gauge unwatched_agents: u64, "Running agents that are known by name and that nobody selected.";
        Counter selected_late_total: u64,
            "Selected cgroups that were watched only after something had been executed in them.";
        Counter records_total ["class"]: Classes, "Records read from the rings, by what they are of.";
        Counter records_unreadable_total: u64, "Records without a header.";
        Counter records_lost_total ["ring"]: Each, "Records of runs that a ring had no room for.";
        Counter records_throttled_total ["ring"]: Each, "Records of floods that were left out on purpose.";
        Gauge ring_size_bytes ["ring"]: Each, "Size of a ring.";
        Gauge ring_fill_bytes ["ring"]: Each,
            "What was last taken out of a ring before it was empty: how full it was, with what came meanwhile.";
        Gauge ring_fill_most_bytes ["ring"]: Each, "The most that it was so far.";
        Counter ring_wakeups_total: u64, "Times that a record woke the reader of the rings.";
        Counter kernel_faults_total ["fault"]: Each, "Failures in the programs, by name.";
        Counter programs_skipped_total: Option<u64>, "Calls of programs that the kernel left out.";
        Gauge stage_alive ["stage"]: Each<1, bool>, "1 while a stage runs.";
        Counter stage_handled_total ["stage"]: Each, "What a stage has handled.";
        Counter stage_lost_total ["stage"]: Each, "What a stage has lost.";
        Counter journal_items_total: u64, "Items committed to the journal.";
        Counter journal_lost_items_total ["why"]: Each, "Items that a Gap of the journal stands for.";
        Counter journal_replaced_total: u64, "Corrupt files of the journal that were replaced.";
        Counter journal_lost_tapes_total: u64,
            "Parts of what runs were judged by that were not kept: `sentry replay` misses them.";
        Gauge journal_waiting_items: u64, "Items that wait in memory for the disk.";
        Gauge journal_bytes ["part"]: Each, "Bytes of items: of the history, and of the spool for the collector.";
        Gauge journal_limit_bytes ["part"]: Each, "What they may have.";
        Gauge journal_file_bytes: u64, "Bytes of the journal's file and its write-ahead log.";
        Counter ledger_given_up_total: u64, "Entries that the ledger had to give up.";
        Gauge feed_connected: Option<bool>, "1 while a stream to the collector is open; absent without one.";
        Gauge feed_since_seconds: Option<f64>, "Since when it is, or is not.";
        Counter feed_streams_total: Option<u64>, "Streams opened.";
        Counter feed_sent_items_total: Option<u64>, "Items sent, repeats included.";
        Gauge feed_last_position: Option<u64>, "Newest position of the journal in its epoch.";
        Gauge feed_acknowledged_position: Option<u64>, "Newest position that the collector has acknowledged.";
        Gauge feed_unacknowledged_items: Option<u64>, "Items that the collector has not acknowledged.";
        Gauge feed_unacknowledged_age_seconds: Option<f64>,
            "How long the oldest of them has waited; 0 where there are none.";
        Gauge feed_behind: Option<bool>,
            "1 while a stream is open and the oldest item has waited for more than ten seconds.";
        Counter textfile_failures_total: u64, "Times that the textfile could not be written.";
    }
}

/// Records by class, where the ring thread counts them.
#[derive(Debug, Default)]
struct Classes(Arc<RingStats>);

impl Values for Classes {
    fn put(&self, labels: &[&'static str], to: &mut Vec<Sample>) {
        self.0.classes.put(labels, to);
    }
}

/// Reads the numbers.
pub struct Meter {
    registry: Arc<Registry>,
    status: Arc<StatusBoard>,
    journal: JournalHandle,
    limits: Journal,
    rings: Rings,
    started_unix_ns: u64,
    textfile_failures: AtomicU64,
}

impl Meter {
    /// What the sensor has from now on.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        status: Arc<StatusBoard>,
        journal: JournalHandle,
        limits: Journal,
        rings: Rings,
    ) -> Self {
        let started_unix_ns = Clock::real().unix_ns();
        let textfile_failures = AtomicU64::new(0);
        Self { registry, status, journal, limits, rings, started_unix_ns, textfile_failures }
    }

    /// Counts a textfile that could not be written.
    pub fn textfile_failed(&self) {
        self.textfile_failures.fetch_add(1, Relaxed);
    }

    /// All numbers as they are now.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut families = self.read().families();
        families.extend(self.status.counted.families());
        families
    }

    #[expect(clippy::too_many_lines, reason = "a list: a number after the other")]
    fn read(&self) -> Read {
        let Self { registry, status, journal, limits, rings, .. } = self;
        let hooks = registry.hooks();
        let books = registry.rings();
        let (_, _, faults) = registry.kernel_status();
        let (stats, stored, position) = (journal.stats(), journal.stored(), journal.position());
        let live = status.is_live(journal);
        let collector = status.collector();
        let feed = collector.as_ref();
        let unacknowledged = position.last - position.confirmed;
        let age = stored.oldest_unix_ns.map_or(0, |oldest| Clock::real().unix_ns().saturating_sub(oldest));
        let stages = &status.stages;
        Read {
            build_info: Build,
            start_time_seconds: seconds(self.started_unix_ns),
            live,
            ready: live && status.canary.came_back(),
            serving: status.health(journal) == SERVING,
            tier: Tier::ALL.map(|tier| ([tier.letter()], tier.letter() == status.tier)).to_vec(),
            hooks_attached: hooks.attached,
            hooks_missing: hooks.missing,
            canary_age_seconds: status.canary.age().map(|age| age.as_secs_f64()),
            canary_silent_hooks: status.canary.silent_hooks() as u64,
            runs: runs(registry),
            rules: registry.own_rules() as u64,
            rules_judged_events_total: registry.tally().judged.load(Relaxed),
            rules_errors_total: registry.tally().errors.load(Relaxed),
            rules_given_up_events_total: registry.tally().given_up.load(Relaxed),
            unwatched_agents: status.selecting.unwatched().len() as u64,
            selected_late_total: status.selecting.late(),
            records_total: Classes(Arc::clone(&status.ring)),
            records_unreadable_total: status.ring.unreadable.load(Relaxed),
            records_lost_total: of_rings(|ring| books[ring].lost),
            records_throttled_total: of_rings(|ring| books[ring].throttled),
            ring_size_bytes: of_rings(|ring| sizes(rings)[ring]),
            ring_fill_bytes: of_rings(|ring| {
                status.ring.fill[ring].now.load(Relaxed).min(sizes(rings)[ring])
            }),
            ring_fill_most_bytes: of_rings(|ring| {
                status.ring.fill[ring].most.load(Relaxed).min(sizes(rings)[ring])
            }),
            ring_wakeups_total: status.ring.wakeups.load(Relaxed),
            kernel_faults_total: fault::NAMES
                .map(|name| ([name], faults.get(name).copied().unwrap_or(0)))
                .to_vec(),
            programs_skipped_total: registry.skipped(),
            stage_alive: stages.iter().map(|(name, stage)| ([*name], stage.is_alive())).collect(),
            stage_handled_total: stages
                .iter()
                .map(|(name, stage)| ([*name], stage.handled.load(Relaxed)))
                .collect(),
            stage_lost_total: stages
                .iter()
                .map(|(name, stage)| ([*name], stage.lost.load(Relaxed)))
                .collect(),
            journal_items_total: stats.appended,
            journal_lost_items_total: vec![
                (["disk"], stats.dropped_disk_full),
                (["spool_full"], stats.dropped_spool_full),
                (["queue_full"], stats.dropped_queue_full),
                (["too_large"], stats.too_large),
                (["refused_by_collector"], stats.refused),
                (["unreadable"], stats.corrupt_rows),
            ],
            journal_replaced_total: stats.files_replaced,
            journal_lost_tapes_total: stats.lost_tapes,
            journal_waiting_items: journal.refused().map_or(0, |refused| refused.waiting),
            journal_bytes: vec![(["history"], stored.history_bytes), (["spool"], stored.spool_bytes)],
            journal_limit_bytes: vec![(["history"], limits.keep_bytes), (["spool"], limits.spool_bytes)],
            journal_file_bytes: journal.file_bytes(),
            ledger_given_up_total: status.given_up(),
            feed_connected: feed.map(|feed| feed.connected.is_some()),
            feed_since_seconds: feed.map(|feed| seconds(feed.since_unix_ns)),
            feed_streams_total: feed.map(|feed| feed.streams),
            feed_sent_items_total: feed.map(|feed| feed.sent),
            feed_last_position: feed.map(|_| position.last),
            feed_acknowledged_position: feed.map(|_| position.confirmed),
            feed_unacknowledged_items: feed.map(|_| unacknowledged),
            feed_unacknowledged_age_seconds: feed.map(|_| seconds(age)),
            feed_behind: feed.map(|feed| feed.behind),
            textfile_failures_total: self.textfile_failures.load(Relaxed),
        }
    }
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}

/// By the names of the rings.
fn of_rings(number: impl Fn(usize) -> u64) -> Each {
    vec![(["critical"], number(ring::CRITICAL)), (["bulk"], number(ring::BULK))]
}

/// By the numbers of the rings.
fn sizes(rings: &Rings) -> [u64; ring::COUNT] {
    let mut sizes = [0; ring::COUNT];
    sizes[ring::CRITICAL] = rings.critical_bytes.into();
    sizes[ring::BULK] = rings.bulk_bytes.into();
    sizes
}

/// Those that have not ended; every combination is there.
fn runs(registry: &Registry) -> Each<2> {
    let mut counts = [[0; 2]; 2];
    for run in registry.live() {
        let phase = match run.state() {
            State::Running => 0,
            State::Frozen => 1,
            // It is about to leave the list.
            State::Ended => continue,
        };
        let mode = match run.mode() {
            Mode::Observe => 0,
            Mode::Enforce => 1,
        };
        counts[phase][mode] += 1;
    }
    let [running, frozen] = counts;
    vec![
        (["running", "observe"], running[0]),
        (["running", "enforce"], running[1]),
        (["frozen", "observe"], frozen[0]),
        (["frozen", "enforce"], frozen[1]),
    ]
}

/// On the wire.
#[must_use]
pub fn wire(family: Family) -> v1::MetricFamily {
    let Family { name, kind, help, samples } = family;
    let kind = match kind {
        Kind::Counter => v1::MetricKind::Counter,
        Kind::Gauge => v1::MetricKind::Gauge,
        Kind::Histogram => v1::MetricKind::Histogram,
    };
    let label = |(name, value): (Cow<'static, str>, Cow<'static, str>)| v1::MetricLabel {
        name: name.into_owned(),
        value: value.into_owned(),
    };
    let sample = |Sample { suffix, labels, value }: Sample| v1::MetricSample {
        suffix: suffix.into_owned(),
        labels: labels.into_iter().map(label).collect(),
        value,
    };
    v1::MetricFamily {
        name: name.into_owned(),
        kind: kind.into(),
        help: help.into_owned(),
        samples: samples.into_iter().map(sample).collect(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::stage::counted::Counted;

    /// `UPDATE_DOCS=1` writes the table.
    #[test]
    fn the_page_of_metrics_has_those_of_the_sensor() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let rows = metrics::table(&[Read::DECLARED, Counted::DECLARED].concat());
        let page = std::fs::read_to_string(path).unwrap();
        let with = metrics::with_table(&page, "### All of the sensor's", &rows).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &with).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page == with, "docs/metrics.md differs; run this test again with UPDATE_DOCS=1");
    }
}
