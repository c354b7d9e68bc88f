//! The export: streams the journal to the collector and brings its commands.
//!
//! One bidirectional stream at a time. The collector proves who it is before it gets anything but
//! the hello, and before anything that it says counts. After Hello and Welcome the stream goes on
//! behind what the collector says it has, so what a broken stream carried is sent again and nothing
//! is skipped. Where the collector takes blocks, events go out in those that the journal keeps,
//! else one by one. Acknowledgements go to the journal, which is where the position lives; one of
//! what was never sent ends the stream, and a Welcome to what the journal never had begins a new
//! epoch.
//!
//! # Limits
//!
//! A message holds at most [`BATCH_BYTES`] (one item may be as large); at most [`WINDOW_BYTES`]
//! wait for an acknowledgement. [`RESULTS`] results of commands wait for a stream; beyond that they
//! wait in the journal, and the collector gets them when it repeats the command. A dead peer is
//! noticed after about 20 s (HTTP/2 keepalive).
//!
//! # Items that the collector refuses
//!
//! It refuses for good what is not well-formed. Sent again it would be refused again, and hold up
//! all that follows: so after a refusal items go one by one, the events of a block as well, and the
//! one that is refused becomes a Gap ("refused").

mod backoff;

mod connect;

mod greeting;

mod session;

mod commands;

mod status;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use sentry_proto::{proof::KeyError, v1};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

pub use crate::config::{Proof, TlsFiles};
use crate::journal::{JournalError, JournalHandle, Position};

use backoff::Backoff;
use commands::Desk;
use session::{End, Session};
pub use status::{BEHIND, ExportStatus};

/// Most bytes of one message, unless a single item has more.
pub const BATCH_BYTES: usize = 1 << 20;
/// Most bytes that wait for an acknowledgement.
pub const WINDOW_BYTES: usize = 8 << 20;
/// Results of commands that wait for a stream.
pub const RESULTS: usize = 64;

/// Where the collector is.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`.
    pub uri: String,
    /// The one that goes with the scheme.
    pub proof: Proof,
    /// Before the next try, when one has failed again and again.
    pub longest_wait: Duration,
    /// How long a stop may wait for the acknowledgement of what is committed.
    pub grace: Duration,
}

/// A command of the collector, to be carried out once.
#[derive(Debug)]
pub struct CommandRequest {
    pub command: v1::Command,
    /// Takes the verified outcome.
    pub reply: oneshot::Sender<v1::Outcome>,
}

/// Why a stream could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    #[error("read {path} for TLS; check the collector section of the configuration")]
    TlsFile { path: PathBuf, source: std::io::Error },
    #[error("{act} {uri}; the items stay in the spool meanwhile")]
    Connect { act: &'static str, uri: String, source: tonic::transport::Error },
    #[error("stream to the collector: it answered {code}: {message}", code = .status.code(), message = .status.message())]
    Refused { status: Box<tonic::Status> },
    #[error("stream to the collector: {what}")]
    Protocol { what: &'static str },
    #[error("the collector has not proven who it is: {what}; nothing but the hello was sent to it")]
    Unproven { what: &'static str },
    #[error("cannot prove this sensor to the collector")]
    Key(#[from] Box<KeyError>),
    #[error("the kernel gave no random bytes for the collector")]
    Random { source: std::io::Error },
    #[error("read for the collector")]
    Journal(#[from] JournalError),
}

/// Streams until `token` is cancelled and what was committed by then is acknowledged, or the grace
/// is over.
///
/// `hello` is sent as it is, except for the epoch, which is the journal's.
pub async fn run(
    config: ExportConfig,
    journal: JournalHandle,
    hello: v1::Hello,
    commands: mpsc::Sender<CommandRequest>,
    status: watch::Sender<ExportStatus>,
    token: CancellationToken,
) {
    let (desk, results) = Desk::new(journal.clone(), commands);
    let Position { epoch, last, .. } = journal.position();
    let sent = Mutex::new(Sent { epoch, last });
    let exporter = Exporter { config, journal, hello, desk, status, sent };
    let streams = async {
        exporter.stream_until_drained(results, &token).await;
        // An act that is under way ends soon; without its result noted a repeat could not be
        // answered.
        drop(timeout(exporter.config.grace, exporter.desk.idle()).await);
    };
    tokio::select! {
        () = streams => {}
        // Never ends by itself; beside the streams, so that a result is noted although there is
        // none.
        () = exporter.desk.note_results() => {}
        // Nor does this.
        () = status::watch(&exporter.status, &exporter.journal) => {}
    }
    exporter.status.send_modify(|status| status.lost(None));
}

struct Exporter {
    config: ExportConfig,
    journal: JournalHandle,
    hello: v1::Hello,
    desk: Desk,
    status: watch::Sender<ExportStatus>,
    sent: Mutex<Sent>,
}

/// How far this file can have been sent: what it had when this life began, and what went out since.
#[derive(Debug)]
struct Sent {
    epoch: Arc<str>,
    last: u64,
}

impl Exporter {
    /// Notes that positions up to `last` go out; returns up to where any may have.
    fn note_sent(&self, epoch: &Arc<str>, last: u64) -> u64 {
        let mut sent = self.sent.lock();
        if sent.epoch != *epoch {
            *sent = Sent { epoch: Arc::clone(epoch), last: 0 };
        }
        sent.last = sent.last.max(last);
        sent.last
    }

    async fn stream_until_drained(
        &self,
        mut results: mpsc::Receiver<v1::CommandResult>,
        token: &CancellationToken,
    ) {
        let mut backoff = Backoff::new(self.config.longest_wait);
        let mut suspect_until = 0;
        let grace_is_over = async {
            token.cancelled().await;
            sleep_until(Instant::now() + self.config.grace).await;
        };
        tokio::pin!(grace_is_over);
        loop {
            let mut session = Session::new(self, suspect_until);
            let end = tokio::select! {
                biased;
                () = &mut grace_is_over => return,
                end = session.run(&mut results, token) => end,
            };
            if session.made_progress() {
                backoff.reset();
            }
            let error = match end {
                End::Drained => return,
                End::Failed(error) => error,
            };
            suspect_until = session.suspect(&error).await;
            self.tell(&error);
            let wake = Instant::now() + backoff.next_delay();
            tokio::select! {
                biased;
                () = &mut grace_is_over => return,
                // A stop does not sleep: one more try, if anything is left to send.
                () = token.cancelled(), if !token.is_cancelled() => {}
                () = sleep_until(wake) => {}
            }
            if token.is_cancelled() && self.nothing_left().await {
                return;
            }
        }
    }

    async fn nothing_left(&self) -> bool {
        match timeout(self.config.grace, self.journal.flush()).await {
            Ok(Ok(position)) => position.acked >= position.last,
            Ok(Err(_)) | Err(_) => true,
        }
    }

    fn tell(&self, error: &ExportError) {
        let text = sentry_service::error_chain(error);
        let first = self.status.borrow().last_error.as_deref() != Some(text.as_str());
        // The same again every few seconds would bury the rest of the log.
        if first {
            tracing::warn!(collector.uri = self.config.uri, error = text, "no stream to the collector");
        }
        self.status.send_modify(|status| status.lost(Some(text)));
    }
}
