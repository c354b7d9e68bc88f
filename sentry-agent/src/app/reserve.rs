//! Room on the disk that is kept for the end: what waits in memory for a full disk has to be
//! written then, or is lost.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::libc::O_NOFOLLOW;
use rustix::fs::{FallocateFlags, fallocate};

const BYTES: u64 = 1 << 20;

/// A file that holds the room while the sensor runs.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// Makes it in the state directory. Without it the sensor runs as well.
    pub(super) fn make(state_dir: &Path) -> Self {
        let path = state_dir.join("reserve");
        if let Err(error) = fill(&path) {
            tracing::warn!(
                %error,
                path = %path.display(),
                "no room on the disk is kept for the end of the sensor"
            );
            drop(fs::remove_file(&path));
        }
        Self(path)
    }

    /// The room is for whoever writes next.
    pub(super) fn give_up(&self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "the reserve on the disk is not freed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn fill(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(O_NOFOLLOW);
    Ok(fallocate(options.open(path)?, FallocateFlags::empty(), 0, BYTES)?)
}
