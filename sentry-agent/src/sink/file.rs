//! Events and findings as lines of OCSF in a file, for whoever collects files.
//!
//! The sink reads the journal like the stream to the collector does, from a position of its own.
//! Beside the file `PATH` it keeps `PATH.position`: how far the journal is written, and how long
//! the file was then. A sensor that was killed cuts off what came after, and writes it again: each
//! item is one line, once. What the journal gave up before it was written is counted in the log.
//!
//! A file that would grow beyond its limit becomes `PATH.1`, that `PATH.2` and so on; the oldest
//! goes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lru::LruCache;
use sentry_proto::{
    ocsf::{self, HostContext},
    v1::{self, item::Item as Kind},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Origin;
use crate::{
    config::FileSink,
    journal::{JournalError, JournalHandle},
};

/// Most bytes of the journal that are written, and made durable, at once.
const BATCH_BYTES: usize = 1 << 20;
/// Between two tries where the file cannot be written.
const RETRY: Duration = Duration::from_secs(5);
/// Runs whose container is remembered.
const RUNS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
/// Who may read: the owner, and the group of the directory's service.
const MODE: u32 = 0o640;
const NO_FOLLOW: i32 = nix::libc::O_NOFOLLOW;

/// Why nothing is written.
#[derive(Debug, thiserror::Error)]
enum SinkError {
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot read the journal")]
    Journal(#[from] JournalError),
    #[error("the thread that writes the file panicked")]
    Panicked,
}

/// How far the journal is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    epoch: String,
    seq: u64,
    /// Length of the file then.
    bytes: u64,
}

/// Writes until `token` is cancelled and what was committed by then is in the file.
pub async fn run(config: FileSink, journal: JournalHandle, origin: Origin, token: CancellationToken) {
    let mut lines = Lines { origin, containers: LruCache::new(RUNS) };
    let mut is_failing = false;
    loop {
        match write(&config, &journal, &mut lines, &token).await {
            Ok(()) => return,
            // The same every few seconds would bury the rest of the log.
            Err(error) if is_failing => {
                tracing::debug!(error = %sentry_service::error_chain(&error), "no file");
            }
            Err(error) => {
                is_failing = true;
                let (path, error) = (config.path.display(), sentry_service::error_chain(&error));
                tracing::error!(
                    %path,
                    error,
                    "events are not written to the file; it is tried again and again"
                );
            }
        }
        if timeout(RETRY, token.cancelled()).await.is_ok() {
            return;
        }
    }
}

async fn write(
    config: &FileSink,
    journal: &JournalHandle,
    lines: &mut Lines,
    token: &CancellationToken,
) -> Result<(), SinkError> {
    let config = config.clone();
    let (mut target, mut written) = blocking(move || Target::open(config)).await?;
    let mut news = journal.watch();
    loop {
        let is_last = token.is_cancelled();
        if is_last {
            journal.flush().await?;
        }
        let epoch: Arc<str> = Arc::clone(&news.borrow_and_update().epoch);
        if *written.epoch != *epoch {
            written = Written { epoch: epoch.to_string(), seq: 0, ..written };
        }
        let batch = journal.read_from(written.seq + 1, BATCH_BYTES).await?;
        if batch.items.is_empty() {
            if is_last {
                return Ok(());
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return Ok(()) },
                () = token.cancelled() => {}
            }
            continue;
        }
        let text = lines.of(batch.items);
        let now = Written { epoch: batch.epoch, seq: batch.last, bytes: written.bytes };
        (target, written) = blocking(move || target.append(&text, &written, now)).await?;
    }
}

/// Runs what waits for the disk off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(SinkError::Panicked))
}

/// Items → lines.
struct Lines {
    origin: Origin,
    containers: LruCache<String, Option<v1::Container>>,
}

impl Lines {
    fn of(&mut self, items: Vec<v1::Item>) -> Vec<u8> {
        let mut text = Vec::new();
        for item in items {
            let value = match item.item {
                Some(Kind::Event(event)) => ocsf::event(&event, &self.host(&event.run)),
                Some(Kind::Finding(finding)) => {
                    let host = self.host(&finding.run);
                    ocsf::finding(&(&finding).into(), &host)
                }
                Some(Kind::Run(run)) => {
                    self.containers.put(run.id, run.container);
                    continue;
                }
                Some(Kind::Gap(gap)) => {
                    let items = gap.last.saturating_sub(gap.first) + 1;
                    tracing::warn!(items, "items were given up before they were written to the file");
                    continue;
                }
                // They are of no OCSF class that is rendered: see the ledger and the collector. The
                // journal hands out the events of a block one by one.
                Some(Kind::Decision(_) | Kind::Outcome(_) | Kind::Block(_)) | None => continue,
            };
            // A value of our own making has no keys that are not text.
            if serde_json::to_writer(&mut text, &value).is_ok() {
                text.push(b'\n');
            }
        }
        text
    }

    fn host(&mut self, run: &str) -> HostContext<'_> {
        HostContext {
            sensor: &self.origin.sensor,
            version: &self.origin.version,
            host: &self.origin.host,
            boot_id: &self.origin.boot_id,
            container: self.containers.get(run).and_then(Option::as_ref),
        }
    }
}

/// The file, open.
struct Target {
    config: FileSink,
    file: File,
}

impl Target {
    /// Opens the file and cuts off what was not noted as written.
    fn open(config: FileSink) -> Result<(Self, Written), SinkError> {
        let file = open(&config.path)?;
        let length = file.metadata().map_err(failed("read the length of", &config.path))?.len();
        let mut written = read_position(&beside(&config.path, "position"));
        if length > written.bytes {
            file.set_len(written.bytes).map_err(failed("cut", &config.path))?;
        }
        written.bytes = written.bytes.min(length);
        Ok((Self { config, file }, written))
    }

    /// Adds lines, durably, and notes how far that is.
    fn append(mut self, text: &[u8], before: &Written, now: Written) -> Result<(Self, Written), SinkError> {
        let added = text.len() as u64;
        let mut bytes = before.bytes;
        if bytes > 0 && bytes + added > self.config.max_bytes {
            self.rotate()?;
            bytes = 0;
            // Before anything is in the new file: what is in it without being noted is cut off.
            self.note(&Written { bytes, ..before.clone() })?;
        }
        let path = &self.config.path;
        self.file.write_all(text).map_err(failed("write to", path))?;
        self.file.sync_data().map_err(failed("write to", path))?;
        let now = Written { bytes: bytes + added, ..now };
        self.note(&now)?;
        Ok((self, now))
    }

    fn rotate(&mut self) -> Result<(), SinkError> {
        let path = &self.config.path;
        for number in (1..self.config.keep).rev() {
            let (from, to) = (beside(path, &number.to_string()), beside(path, &(number + 1).to_string()));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("rename", &from)(error));
                }
                _ => {}
            }
        }
        if self.config.keep > 0 {
            fs::rename(path, beside(path, "1")).map_err(failed("rename", path))?;
        } else {
            fs::remove_file(path).map_err(failed("remove", path))?;
        }
        self.file = open(path)?;
        Ok(())
    }

    fn note(&self, written: &Written) -> Result<(), SinkError> {
        let path = beside(&self.config.path, "position");
        let draft = beside(&self.config.path, "position.draft");
        let text = serde_json::to_vec(written).map_err(|error| failed("write", &draft)(error.into()))?;
        fs::write(&draft, text).map_err(failed("write", &draft))?;
        fs::rename(&draft, &path).map_err(failed("write", &path))
    }
}

fn open(path: &Path) -> Result<File, SinkError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(MODE).custom_flags(NO_FOLLOW);
    options.open(path).map_err(failed("open", path))
}

/// Where there is none, or one that does not read, everything that the journal has is written.
fn read_position(path: &Path) -> Written {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// `PATH.<end>`
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> SinkError {
    let path = path.to_owned();
    move |source| SinkError::Io { what, path: path.clone(), source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
