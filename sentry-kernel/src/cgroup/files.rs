//! Reading and writing the files of a group relative to its open directory.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

use crate::beneath::{self, Way};

/// Most bytes read of one file: `cgroup.procs` of four million processes. Beyond that the read
/// fails, so that it cannot exhaust the sensor's memory.
const READ_LIMIT_BYTES: usize = 32 << 20;

pub(crate) fn open_dir(dir: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    open(dir, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

pub(crate) fn open_file(dir: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    open(dir, Path::new(name), OFlags::RDONLY)
}

fn open(dir: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    beneath::open(dir, path, flags, Way::OneMount)
}

/// The whole text from the start. Can be called again on the same descriptor.
pub(crate) fn read_all(file: BorrowedFd<'_>) -> io::Result<String> {
    let mut bytes = vec![0_u8; 4096];
    let mut filled = 0;
    loop {
        let got = match rustix::io::pread(file, &mut bytes[filled..], filled as u64) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if got == 0 {
            break;
        }
        filled += got;
        if filled == bytes.len() {
            if filled >= READ_LIMIT_BYTES {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            bytes.resize(filled * 2, 0);
        }
    }
    bytes.truncate(filled);
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

pub(crate) fn read(dir: impl AsFd, name: &str) -> io::Result<String> {
    let file = open_file(dir, name)?;
    read_all(file.as_fd())
}

/// Writes with one `write(2)`: the kernel takes a control value whole or not at all.
pub(crate) fn write(dir: impl AsFd, name: &str, value: &str) -> io::Result<()> {
    let file = open(dir, Path::new(name), OFlags::WRONLY)?;
    rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))?;
    Ok(())
}

/// Names of the child groups.
pub(crate) fn children(dir: impl AsFd) -> rustix::io::Result<Vec<std::ffi::OsString>> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if entry.file_type() == rustix::fs::FileType::Directory && name != b"." && name != b".." {
            names.push(std::ffi::OsStr::from_bytes(name).to_os_string());
        }
    }
    Ok(names)
}

/// `ENODEV`: an open file of a removed group; `ENOENT`: a name in a removed directory.
pub(crate) fn means_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::NODEV | Errno::NOENT))
}
