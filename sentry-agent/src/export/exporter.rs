//! What one stream leaves to the next: the configuration, the commands, the status, and how far
//! the journal was sent.

use std::sync::Arc;

use parking_lot::Mutex;
use sentry_proto::v1;
use tokio::{sync::watch, time::timeout};

use super::{ExportConfig, ExportError, commands::Desk};
use crate::journal::{JournalHandle, Position};

/// How the export is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportStatus {
    /// There is a collector to stream to.
    pub configured: bool,
    /// What the collector calls itself, while a stream is open.
    pub connected: Option<String>,
    /// Streams opened so far.
    pub streams: u64,
    /// Items sent, repeats included.
    pub sent: u64,
    /// Why the last stream ended or none could be opened; cleared by the next Welcome.
    pub last_error: Option<String>,
}

pub(super) struct Exporter {
    pub(super) config: ExportConfig,
    pub(super) journal: JournalHandle,
    pub(super) hello: v1::Hello,
    pub(super) desk: Desk,
    pub(super) status: watch::Sender<ExportStatus>,
    sent: Mutex<Sent>,
}

/// How far this file can have been sent: what it had when this life began, and what went out since.
#[derive(Debug)]
struct Sent {
    epoch: Arc<str>,
    last: u64,
}

impl Exporter {
    pub(super) fn new(
        config: ExportConfig,
        journal: JournalHandle,
        hello: v1::Hello,
        desk: Desk,
        status: watch::Sender<ExportStatus>,
    ) -> Self {
        let Position { epoch, last, .. } = journal.position();
        let sent = Mutex::new(Sent { epoch, last });
        Self { config, journal, hello, desk, status, sent }
    }

    /// Notes that positions up to `last` go out; returns up to where any may have.
    pub(super) fn note_sent(&self, epoch: &Arc<str>, last: u64) -> u64 {
        let mut sent = self.sent.lock();
        if sent.epoch != *epoch {
            *sent = Sent { epoch: Arc::clone(epoch), last: 0 };
        }
        sent.last = sent.last.max(last);
        sent.last
    }

    /// Whether all that is committed is acknowledged, or the journal cannot say.
    pub(super) async fn nothing_left(&self) -> bool {
        match timeout(self.config.grace, self.journal.flush()).await {
            Ok(Ok(position)) => position.acked >= position.last,
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// Notes why a stream ended or could not be opened.
    pub(super) fn note_failure(&self, error: &ExportError) {
        let text = sentry_service::error_chain(error);
        let first = self.status.borrow().last_error.as_deref() != Some(text.as_str());
        // The same again every few seconds would bury the rest of the log.
        if first {
            tracing::warn!(collector.uri = self.config.uri, error = text, "no stream to the collector");
        }
        self.status.send_modify(|status| {
            status.connected = None;
            status.last_error = Some(text);
        });
    }
}
