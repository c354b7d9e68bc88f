//! How the export is doing, for health, metrics and log: all three read the same value, so that
//! they agree.

use std::time::Duration;

use sentry_kernel::clock::Clock;
use tokio::{sync::watch, time::interval};

use crate::journal::JournalHandle;

/// A collector that is connected and has not acknowledged an item for so long is behind.
pub const BEHIND: Duration = Duration::from_secs(10);
/// Between two looks at how long the oldest item waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How the export is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStatus {
    /// There is a collector to stream to.
    pub configured: bool,
    /// What the collector calls itself, while a stream is open.
    pub connected: Option<String>,
    /// Since when a stream is open, or none is; Unix time.
    pub since_unix_ns: u64,
    /// Streams opened so far.
    pub streams: u64,
    /// Items sent, repeats included.
    pub sent: u64,
    /// Why the last stream ended or none could be opened; cleared by the next Welcome.
    pub last_error: Option<String>,
    /// A stream is open, and the oldest item waits longer than [`BEHIND`].
    pub behind: bool,
}

impl ExportStatus {
    /// Before the first try.
    #[must_use]
    pub fn new(configured: bool) -> Self {
        Self {
            configured,
            connected: None,
            since_unix_ns: Clock::real().unix_ns(),
            streams: 0,
            sent: 0,
            last_error: None,
            behind: false,
        }
    }

    /// A stream is open.
    pub(super) fn opened(&mut self, collector: String) {
        self.connected = Some(collector);
        self.since_unix_ns = Clock::real().unix_ns();
        self.streams += 1;
        self.last_error = None;
    }

    /// None is, and why.
    pub(super) fn lost(&mut self, why: Option<String>) {
        // One try after the other fails: it is the same outage.
        if self.connected.take().is_some() {
            self.since_unix_ns = Clock::real().unix_ns();
        }
        self.behind = false;
        self.last_error = why.or(self.last_error.take());
    }
}

/// Notes, for ever, when the collector falls behind and when it has caught up.
pub(super) async fn watch(status: &watch::Sender<ExportStatus>, journal: &JournalHandle) {
    let mut timer = interval(LOOK_EVERY);
    loop {
        timer.tick().await;
        let waited = journal
            .stored()
            .oldest_unix_ns
            .map(|oldest| Duration::from_nanos(Clock::real().unix_ns().saturating_sub(oldest)));
        let late = waited.filter(|waited| *waited > BEHIND);
        let changed = status.send_if_modified(|status| {
            let behind = late.is_some() && status.connected.is_some();
            std::mem::replace(&mut status.behind, behind) != behind
        });
        if !changed {
            continue;
        }
        let position = journal.position();
        let waiting = position.last - position.confirmed;
        match late {
            Some(late) => tracing::warn!(
                feed.waiting = waiting,
                feed.acknowledged = position.confirmed,
                oldest_s = late.as_secs(),
                "the collector is behind"
            ),
            None => tracing::info!(
                feed.waiting = waiting,
                feed.acknowledged = position.confirmed,
                "the collector has caught up"
            ),
        }
    }
}
