//! A lock file: who has it open is the only writer beside it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use sentry_private::PrivateError;

/// A child of this process holds a copy of every open file from its fork to its exec. A lock that
/// is given up meanwhile stays for that moment.
const FORK_TO_EXEC: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(10);

/// Locks `path` until the file is closed; `None`: another process has it.
pub(crate) fn take(path: &Path) -> Result<Option<File>, PrivateError> {
    let file = sentry_private::open(path, OpenOptions::new().write(true).create(true).truncate(false))?;
    let deadline = Instant::now() + FORK_TO_EXEC;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(source)) => {
                return Err(PrivateError::Io { act: "lock", path: path.to_owned(), source });
            }
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::sleep(STEP),
        }
    }
}
