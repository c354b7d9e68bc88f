//! The ledger's files: segments that only grow, small files that are replaced whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{LedgerError, lock};
use sentry_private::PrivateError;

const LOCK_FILE: &str = "ledger.lock";
const PREFIX: &str = "segment-";
const SUFFIX: &str = ".jsonl";

/// A segment, open for appending.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    number: u32,
    file: File,
    /// Bytes that count; more in the file is what a failed write left and is cut before the next.
    bytes: u64,
}

impl Segment {
    /// Begins a segment. One that is there already holds nothing that counts.
    pub(super) fn create(dir: &Path, number: u32) -> Result<Self, LedgerError> {
        let segment = Self::open(dir, number, 0)?;
        sync_dir(dir)?;
        Ok(segment)
    }

    /// Opens a segment of which the first `bytes` count.
    pub(super) fn open(dir: &Path, number: u32, bytes: u64) -> Result<Self, LedgerError> {
        let path = dir.join(name(number));
        let file = sentry_private::open(&path, OpenOptions::new().append(true).create(true))
            .map_err(of_private("open", &path))?;
        let mut segment = Self { path, number, file, bytes };
        segment.cut()?;
        Ok(segment)
    }

    /// Writes a line to disk, whole or not at all.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), LedgerError> {
        self.cut()?;
        let before = self.bytes;
        match self.file.write_all(line).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.bytes += line.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.take_back(before);
                Err(no_space_or_io("append to", &self.path, source))
            }
        }
    }

    /// Forgets what stands behind the first `bytes`. Where the cut itself fails it is done before
    /// the next append.
    pub(super) fn take_back(&mut self, bytes: u64) {
        self.bytes = bytes;
        if let Err(error) = self.cut() {
            tracing::error!(error = %error, "ledger segment could not be cut back yet");
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn name(&self) -> String {
        name(self.number)
    }

    fn cut(&mut self) -> Result<(), LedgerError> {
        let cut = || {
            if self.file.metadata()?.len() > self.bytes {
                self.file.set_len(self.bytes)?;
                self.file.sync_data()?;
            }
            Ok(())
        };
        cut().map_err(|source| LedgerError::Io { act: "cut", path: self.path.clone(), source })
    }
}

pub(super) fn name(number: u32) -> String {
    format!("{PREFIX}{number:08}{SUFFIX}")
}

pub(super) fn make_dir(dir: &Path) -> Result<(), LedgerError> {
    sentry_private::make_dir(dir).map(drop).map_err(of_private("make", dir))
}

/// Makes this process the only one that appends, until the file is closed.
pub(super) fn own(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join(LOCK_FILE);
    match lock::take(&path) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(LedgerError::InUse { dir: dir.to_owned() }),
        Err(error) => Err(of_private("lock", &path)(error)),
    }
}

/// Numbers of the segments in `dir`, ascending.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for item in fs::read_dir(dir)? {
        let file_name = item?.file_name();
        let number =
            file_name.to_str().and_then(|text| text.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        // `segment-1.jsonl` is not ours: a number has one name.
        numbers.extend(number.filter(|number| *name(*number) == *file_name));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Replaces a small file as a whole: a reader sees the old one or the new one, also after a crash.
/// The rename is on disk once the directory is synced.
pub(super) fn replace(dir: &Path, file_name: &str, content: &[u8]) -> Result<(), LedgerError> {
    let path = dir.join(file_name);
    let temporary = dir.join(format!("{file_name}.tmp"));
    let mut file =
        sentry_private::open(&temporary, OpenOptions::new().write(true).create(true).truncate(true))
            .map_err(of_private("replace", &path))?;
    let mut write = || {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|source| no_space_or_io("replace", &path, source))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|source| LedgerError::Io {
        act: "sync",
        path: dir.to_owned(),
        source,
    })
}

fn of_private(act: &'static str, path: &Path) -> impl Fn(PrivateError) -> LedgerError {
    let path = path.to_owned();
    move |error| match error {
        PrivateError::Io { source, .. } => no_space_or_io(act, &path, source),
        refused => refused.into(),
    }
}

fn no_space_or_io(act: &'static str, path: &Path, source: io::Error) -> LedgerError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            LedgerError::NoSpace { path, source }
        }
        _ => LedgerError::Io { act, path, source },
    }
}
