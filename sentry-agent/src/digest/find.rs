//! The file that a record names, opened.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use procfs::process::Process;
use rustix::fs::OFlags;
use sentry_detect::{event::FileKey, run::ProcessKey};
use sentry_kernel::{
    beneath::{self, Way},
    decode::text,
};

use super::{Executed, Unknown, proof::Version};
use crate::enrich::seed;

/// A file that is the one of the record.
pub(super) struct Found {
    pub(super) file: File,
    /// Opened as the image of its process, which was running it then.
    pub(super) by_process: bool,
}

/// Opens the file: as what the process runs, else by its name as the process, its parent or the
/// sensor sees it.
///
/// # Errors
/// When it is not to be found.
pub(super) fn file(executed: &Executed) -> Result<Found, Unknown> {
    let key = executed.file.key.ok_or(Unknown::NoObject)?;
    if executed.is_image
        && let Ok(file) = File::open(image_of(executed.process))
        && is_file(&file, key)
        && seed::is_alive(executed.process)
    {
        return Ok(Found { file, by_process: true });
    }
    let path = &executed.file.path;
    let name = text::unescape(&path.text).ok_or(Unknown::Gone)?;
    if path.truncated || !name.is_absolute() {
        return Err(Unknown::Gone);
    }
    let of = |process: ProcessKey| {
        seed::is_alive(process).then(|| PathBuf::from(format!("/proc/{}/root", process.tgid)))
    };
    let roots =
        [of(executed.process), executed.parent.and_then(of), Some(PathBuf::from("/"))].into_iter().flatten();
    let mut files = roots.filter_map(|root| below(&root, &name, key).ok().flatten());
    files.next().map(|file| Found { file, by_process: false }).ok_or(Unknown::Gone)
}

/// Whether the process still runs that file, which nobody could write to meanwhile. In a user
/// namespace of its own a process may have capabilities there, and exchange what it runs without
/// executing anything (`prctl(PR_SET_MM_MAP)`).
pub(super) fn holds(process: ProcessKey, version: &Version) -> bool {
    let namespace =
        |process: &str| fs::metadata(format!("/proc/{process}/ns/user")).map(|file| file.ino()).ok();
    writes_are_denied()
        && fs::metadata(image_of(process)).is_ok_and(|now| version_of(&now) == *version)
        && namespace("self").is_some_and(|own| namespace(&process.tgid.to_string()) == Some(own))
        && seed::is_alive(process)
}

/// Whether this kernel refuses to write to what runs. Not every one does.
pub(super) fn writes_are_denied() -> bool {
    static DENIED: OnceLock<bool> = OnceLock::new();
    *DENIED.get_or_init(|| {
        let opened = File::options().write(true).open(crate::OWN_IMAGE);
        opened.is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy)
    })
}

/// Whether the file system is mounted where the host's first process sees it: by somebody who may
/// mount there.
pub(super) fn is_mounted_by_host(version: &Version) -> bool {
    let device = format!("{}:{}", version.device_major, version.device_minor);
    let mounts = Process::new(1).and_then(|process| process.mountinfo());
    mounts.is_ok_and(|mounts| mounts.0.iter().any(|mount| mount.majmin == device))
}

/// # Errors
/// When the file cannot be asked.
pub(super) fn version(file: &File) -> io::Result<Version> {
    file.metadata().map(|metadata| version_of(&metadata))
}

fn version_of(metadata: &fs::Metadata) -> Version {
    Version {
        device_major: rustix::fs::major(metadata.dev()),
        device_minor: rustix::fs::minor(metadata.dev()),
        inode: metadata.ino(),
        size_bytes: metadata.size(),
        changed_unix_ns: i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()),
    }
}

fn image_of(process: ProcessKey) -> String {
    format!("/proc/{}/exe", process.tgid)
}

/// Opened for reading only once it is known to be the file: to open a device or a pipe may do
/// something.
fn below(root: &Path, name: &Path, key: FileKey) -> io::Result<Option<File>> {
    let root = File::open(root)?;
    let handle = File::from(beneath::open(&root, name, OFlags::PATH, Way::AsRoot)?);
    if !is_file(&handle, key) {
        return Ok(None);
    }
    File::open(format!("/proc/self/fd/{}", handle.as_raw_fd())).map(Some)
}

/// Whether it is a regular file, and the one of that key. Where the file system gives programs
/// another device number than the kernel has (Btrfs), it is not.
fn is_file(file: &File, key: FileKey) -> bool {
    file.metadata().is_ok_and(|metadata| {
        let version = version_of(&metadata);
        metadata.is_file()
            && (version.device_major, version.device_minor, version.inode)
                == (key.device_major, key.device_minor, key.inode)
    })
}
