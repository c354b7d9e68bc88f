//! A part of the ledger for one reader, as it stands on disk.

use std::path::PathBuf;

use sentry_proto::v1::{self, ledger_request};
use sentry_service::error_chain;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::refusal::{self, blocking};
use crate::ledger::{Begins, Ends, Flaw, Part, VerifyError};

/// Bytes of one message, but for its last line, which has at most 1 MiB.
const MESSAGE_BYTES: usize = 256 << 10;

/// Where the part begins that a request asks for.
pub(super) fn begins(request: v1::LedgerRequest) -> Result<Begins, Status> {
    match request.begins {
        Some(ledger_request::Begins::Run(run)) => Ok(Begins::Run(run)),
        Some(ledger_request::Begins::ManifestSha256(digest)) => Ok(Begins::Export(sha256(digest)?)),
        None => Err(Status::invalid_argument("the request does not say where the part of the ledger begins")),
    }
}

/// A SHA-256 in the one form that the ledger has.
pub(super) fn sha256(text: String) -> Result<String, Status> {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text);
    }
    Err(Status::invalid_argument("a SHA-256 has 64 hex digits, in lower case"))
}

/// Sends the part, and ends with its reader or the sensor. No thread waits for a slow reader.
pub(super) async fn serve(
    dir: PathBuf,
    begins: Begins,
    sender: Sender<Result<v1::LedgerPart, Status>>,
    stopping: CancellationToken,
) {
    let served = tokio::select! {
        served = send(dir, begins, &sender) => served,
        () = stopping.cancelled() => Err(refusal::stopping()),
    };
    if let Err(status) = served {
        // The reader may be gone already, or be too slow to hear of it.
        let _gone = sender.try_send(Err(status));
    }
}

async fn send(
    dir: PathBuf,
    begins: Begins,
    sender: &Sender<Result<v1::LedgerPart, Status>>,
) -> Result<(), Status> {
    let mut part = blocking(move || Part::open(&dir, begins)).await?.map_err(refused)?;
    loop {
        let (read, lines) = blocking(move || {
            let lines = part.next(MESSAGE_BYTES);
            (part, lines)
        })
        .await?;
        part = read;
        let message = match lines.map_err(refused)? {
            Some(entries) => v1::LedgerPart { entries, ..v1::LedgerPart::default() },
            None => {
                let Ends { head, public_key } = part.ends().clone();
                v1::LedgerPart { entries: Vec::new(), head, public_key }
            }
        };
        let is_last = !message.head.is_empty();
        let nothing = message == v1::LedgerPart::default();
        if !nothing && sender.send(Ok(message)).await.is_err() || is_last || sender.is_closed() {
            return Ok(());
        }
    }
}

fn refused(error: VerifyError) -> Status {
    let code = match &error.what {
        Flaw::Absent | Flaw::Unreadable { .. } => Code::Internal,
        _ => Code::DataLoss,
    };
    Status::new(code, format!("the ledger cannot be read: {}", error_chain(&error)))
}
