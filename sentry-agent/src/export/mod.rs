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

mod error;

mod connect;

mod greeting;

mod commands;

mod exporter;

mod session;

#[cfg(test)]
mod tests;

use sentry_proto::v1;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

pub use crate::config::{Proof, TlsFiles};
use crate::journal::JournalHandle;
pub use commands::{CommandRequest, RESULTS};
pub use connect::ExportConfig;
pub use error::ExportError;
pub use exporter::ExportStatus;
pub use session::{BATCH_BYTES, WINDOW_BYTES};

use backoff::Backoff;
use commands::Desk;
use exporter::Exporter;
use session::{End, Session};

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
    let exporter = Exporter::new(config, journal, hello, desk, status);
    let streams = async {
        stream_until_drained(&exporter, results, &token).await;
        // An act that is under way ends soon; without its result noted a repeat could not be
        // answered.
        drop(timeout(exporter.config.grace, exporter.desk.idle()).await);
    };
    tokio::select! {
        () = streams => {}
        // Never ends by itself; beside the streams, so that a result is noted although there is
        // none.
        () = exporter.desk.note_results() => {}
    }
    exporter.status.send_modify(|status| status.connected = None);
}

async fn stream_until_drained(
    exporter: &Exporter,
    mut results: mpsc::Receiver<v1::CommandResult>,
    token: &CancellationToken,
) {
    let mut backoff = Backoff::new(exporter.config.longest_wait);
    let mut suspect_until = 0;
    let grace_is_over = async {
        token.cancelled().await;
        sleep_until(Instant::now() + exporter.config.grace).await;
    };
    tokio::pin!(grace_is_over);
    loop {
        let mut session = Session::new(exporter, suspect_until);
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
        exporter.note_failure(&error);
        let wake = Instant::now() + backoff.next_delay();
        tokio::select! {
            biased;
            () = &mut grace_is_over => return,
            // A stop does not sleep: one more try, if anything is left to send.
            () = token.cancelled(), if !token.is_cancelled() => {}
            () = sleep_until(wake) => {}
        }
        if token.is_cancelled() && exporter.nothing_left().await {
            return;
        }
    }
}
