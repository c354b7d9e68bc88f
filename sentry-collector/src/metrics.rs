//! What the collector counts about itself. Counters live as long as the process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sentry_service::{
    metrics,
    metrics::{Bounds, Build, By, Histogram, Label},
};

use crate::feed::kind::ItemKind;

metrics! {
    /// All that is counted.
    pub(crate) struct Metrics in "agentsentry_collector_" {
        Gauge build_info ["version"]: Build, "1, for the version that runs.";
        Counter items_total ["kind"]: By<ItemKind>, "Items stored, by kind.";
        Counter duplicate_items_total: AtomicU64, "Items that came again and were ignored.";
        Counter gaps_total: AtomicU64, "Gaps stored.";
        Counter lost_items_total: AtomicU64, "Items that stored gaps declare gone for ever.";
        Counter corrupt_blocks_total: AtomicU64,
            "Stored blocks of events that could not be read; a gap stands for each.";
        Counter refused_streams_total: AtomicU64, "Streams ended because of what they sent.";
        Counter replaced_streams_total: AtomicU64, "Streams ended by a newer one.";
        Counter unproven_streams_total: AtomicU64,
            "Streams refused, since nobody proved to be the sensor.";
        Gauge sensors_connected: AtomicU64, "Sensors with a live stream.";
        Counter commits_total: AtomicU64, "Commits of the writer.";
        Counter commit_failures_total: AtomicU64, "Commits that failed and were retried.";
        Histogram commit_items: Histogram<Items>, "Items per commit.";
        Gauge stored_bytes: AtomicU64, "Bytes of the database in use.";
        Counter pruned_items_total: AtomicU64, "Items removed to keep retention_bytes.";
        Counter commands_total: AtomicU64, "Commands accepted.";
        Counter command_results_total: AtomicU64, "Results of commands stored.";
        Counter refused_results_total: AtomicU64,
            "Results refused, since the command was not delivered to their sensor.";
        Counter unauthorized_total: AtomicU64,
            "Requests refused without a key, or with a wrong one.";
        Counter forbidden_total: AtomicU64, "Requests refused, since the key lacks the right.";
        Counter locked_addresses_total: AtomicU64, "Addresses locked after ten wrong keys.";
        Counter limited_requests_total: AtomicU64,
            "Requests refused, since their address is locked or asks too often.";
        Counter audit_lost_total: AtomicU64,
            "Refusals that the audit does not have, since there were too many.";
        Counter api_requests_total ["status"]: By<Class>, "HTTP requests answered, by class of status.";
        Counter api_shed_requests_total: AtomicU64, "Requests refused at the limit.";
        Gauge http_connections: AtomicU64, "Connections to the HTTP API.";
        Counter http_closed_total: AtomicU64,
            "HTTP connections closed: the peer was slow, gave way to others, or had too many.";
    }
}

/// Buckets of items per commit.
#[derive(Debug)]
pub(crate) struct Items;

impl Bounds for Items {
    const BOUNDS: &'static [f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];
}

impl Label for ItemKind {
    fn names() -> Vec<&'static str> {
        Self::ALL.map(Self::name).to_vec()
    }

    fn index(&self) -> usize {
        *self as usize
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class {
    Success,
    ClientError,
    ServerError,
    Other,
}

impl Label for Class {
    fn names() -> Vec<&'static str> {
        vec!["2xx", "4xx", "5xx", "other"]
    }

    fn index(&self) -> usize {
        *self as usize
    }
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn stored(&self, kind: ItemKind, count: u64) {
        self.items_total.add(&kind, count);
        if kind == ItemKind::Gap {
            self.gaps_total.fetch_add(count, Relaxed);
        }
    }

    /// Counts blocks that became unreadable, and their events.
    pub(crate) fn written_off(&self, blocks: u64, events: u64) {
        self.corrupt_blocks_total.fetch_add(blocks, Relaxed);
        self.lost_items_total.fetch_add(events, Relaxed);
    }

    pub(crate) fn committed(&self, items: u64) {
        self.commits_total.fetch_add(1, Relaxed);
        self.commit_items.observe(items as f64);
    }

    pub(crate) fn answered(&self, status: u16) {
        let class = match status {
            200..=299 => Class::Success,
            400..=499 => Class::ClientError,
            500..=599 => Class::ServerError,
            _ => Class::Other,
        };
        self.api_requests_total.add(&class, 1);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1` writes the table.
    #[test]
    fn the_page_of_metrics_has_those_of_the_collector() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let rows = metrics::table(Metrics::DECLARED);
        let page = std::fs::read_to_string(path).unwrap();
        let with = metrics::with_table(&page, "## Collector", &rows).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &with).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page == with, "docs/metrics.md differs; run this test again with UPDATE_DOCS=1");
    }
}
