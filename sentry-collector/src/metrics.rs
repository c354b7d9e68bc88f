//! What the collector counts about itself. Counters live as long as the process; labels have few
//! values, never an id.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::feed::kind::ItemKind;

/// Upper bounds of the histogram of items per commit.
const COMMIT_BOUNDS: [u64; 8] = [1, 4, 16, 64, 256, 1024, 4096, 16384];

/// How a request ended, label `status`.
const CLASSES: [&str; 4] = ["2xx", "4xx", "5xx", "other"];

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By kind, label `kind`.
    items: [AtomicU64; ItemKind::ALL.len()],
    pub(crate) duplicates: AtomicU64,
    /// Items that gaps declared lost.
    pub(crate) lost_items: AtomicU64,
    /// Stored blocks of events that became unreadable.
    corrupt_blocks: AtomicU64,
    pub(crate) refused_streams: AtomicU64,
    pub(crate) replaced_streams: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) commit_failures: AtomicU64,
    commit_items: [AtomicU64; COMMIT_BOUNDS.len()],
    commit_items_sum: AtomicU64,
    pub(crate) sensors_connected: AtomicU64,
    pub(crate) stored_bytes: AtomicU64,
    pub(crate) pruned_items: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) command_results: AtomicU64,
    /// Results for which there was no open command.
    pub(crate) refused_results: AtomicU64,
    /// Streams whose sensor was not proven.
    pub(crate) unproven_streams: AtomicU64,
    /// Commands without the right token.
    pub(crate) unauthorized: AtomicU64,
    requests: [AtomicU64; CLASSES.len()],
    pub(crate) shed_requests: AtomicU64,
    pub(crate) http_connections: AtomicU64,
    /// Connections that the collector ended, not the peer.
    pub(crate) http_closed: AtomicU64,
}

impl Metrics {
    pub(crate) fn stored(&self, kind: ItemKind, count: u64) {
        self.items[kind as usize].fetch_add(count, Relaxed);
    }

    /// Counts blocks that became unreadable, and their events.
    pub(crate) fn written_off(&self, blocks: u64, events: u64) {
        self.corrupt_blocks.fetch_add(blocks, Relaxed);
        self.lost_items.fetch_add(events, Relaxed);
    }

    pub(crate) fn committed(&self, items: u64) {
        self.commits.fetch_add(1, Relaxed);
        self.commit_items_sum.fetch_add(items, Relaxed);
        if let Some(index) = COMMIT_BOUNDS.iter().position(|bound| items <= *bound) {
            self.commit_items[index].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn answered(&self, status: u16) {
        let class = match status {
            200..=299 => 0,
            400..=499 => 1,
            500..=599 => 2,
            _ => 3,
        };
        self.requests[class].fetch_add(1, Relaxed);
    }

    /// Prometheus text format.
    pub(crate) fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        family(&mut text, "items_total", "counter", "Items stored, by kind.");
        for (kind, count) in ItemKind::ALL.into_iter().zip(&self.items) {
            let kind = kind.name();
            sample(&mut text, &format!("items_total{{kind=\"{kind}\"}}"), count.load(Relaxed));
        }
        for (name, kind, help, value) in self.plain() {
            family(&mut text, name, kind, help);
            sample(&mut text, name, value.load(Relaxed));
        }
        family(&mut text, "api_requests_total", "counter", "HTTP requests answered, by class of status.");
        for (class, count) in CLASSES.iter().zip(&self.requests) {
            sample(&mut text, &format!("api_requests_total{{status=\"{class}\"}}"), count.load(Relaxed));
        }
        self.render_commits(&mut text);
        text
    }

    /// Name, type, help and value of the metrics without labels.
    fn plain(&self) -> [(&'static str, &'static str, &'static str, &AtomicU64); 18] {
        [
            ("duplicate_items_total", "counter", "Items that came again and were ignored.", &self.duplicates),
            ("gaps_total", "counter", "Gaps stored.", &self.items[ItemKind::Gap as usize]),
            (
                "lost_items_total",
                "counter",
                "Items that stored gaps declare gone for ever.",
                &self.lost_items,
            ),
            (
                "corrupt_blocks_total",
                "counter",
                "Stored blocks of events that could not be read; a gap stands for each.",
                &self.corrupt_blocks,
            ),
            (
                "refused_streams_total",
                "counter",
                "Streams ended because of what they sent.",
                &self.refused_streams,
            ),
            ("replaced_streams_total", "counter", "Streams ended by a newer one.", &self.replaced_streams),
            (
                "commit_failures_total",
                "counter",
                "Commits that failed and were retried.",
                &self.commit_failures,
            ),
            ("sensors_connected", "gauge", "Sensors with a live stream.", &self.sensors_connected),
            ("stored_bytes", "gauge", "Bytes of the database in use.", &self.stored_bytes),
            ("pruned_items_total", "counter", "Items removed to keep retention_bytes.", &self.pruned_items),
            ("commands_total", "counter", "Commands accepted.", &self.commands),
            ("command_results_total", "counter", "Results of commands stored.", &self.command_results),
            (
                "refused_results_total",
                "counter",
                "Results refused, since the command was not delivered to their sensor.",
                &self.refused_results,
            ),
            (
                "unproven_streams_total",
                "counter",
                "Streams refused, since nobody proved to be the sensor.",
                &self.unproven_streams,
            ),
            ("unauthorized_total", "counter", "Commands refused without the token.", &self.unauthorized),
            ("api_shed_requests_total", "counter", "Requests refused at the limit.", &self.shed_requests),
            ("http_connections", "gauge", "Connections to the HTTP API.", &self.http_connections),
            (
                "http_closed_total",
                "counter",
                "HTTP connections closed: the peer was slow, gave way to others, or had too many.",
                &self.http_closed,
            ),
        ]
    }

    fn render_commits(&self, text: &mut String) {
        let commits = self.commits.load(Relaxed);
        family(text, "commits_total", "counter", "Commits of the writer.");
        sample(text, "commits_total", commits);
        family(text, "commit_items", "histogram", "Items per commit.");
        let mut below = 0;
        for (bound, count) in COMMIT_BOUNDS.iter().zip(&self.commit_items) {
            below += count.load(Relaxed);
            sample(text, &format!("commit_items_bucket{{le=\"{bound}\"}}"), below);
        }
        sample(text, "commit_items_bucket{le=\"+Inf\"}", commits.max(below));
        sample(text, "commit_items_sum", self.commit_items_sum.load(Relaxed));
        sample(text, "commit_items_count", commits.max(below));
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    text.push_str(&format!("# HELP agentsentry_collector_{name} {help}\n"));
    text.push_str(&format!("# TYPE agentsentry_collector_{name} {kind}\n"));
}

fn sample(text: &mut String, name: &str, value: u64) {
    text.push_str(&format!("agentsentry_collector_{name} {value}\n"));
}
