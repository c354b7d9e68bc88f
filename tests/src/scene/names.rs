//! Names of files: made, changed, removed.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
};

use super::{Table, Words, raw};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("unlink", unlink),
    ("unlink-refused", unlink_refused),
    ("create-and-unlink", create_and_unlink),
    ("rmdir", rmdir),
    ("rename", rename),
    ("exchange", exchange),
    ("link", link),
    ("symlink", symlink),
    ("mkdir", mkdir),
    ("fifo", fifo),
    ("link-nameless", link_nameless),
];

fn unlink(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(fs::remove_file(words.path()?)?)
}

/// `COUNT`: so many files, all made before the first is removed.
fn create_and_unlink(words: &mut Words<'_>) -> Result<(), Failure> {
    let count: u32 = words.number()?;
    let name = |number: u32| format!("file-{number}");
    (0..count).try_for_each(|number| File::create(name(number)).map(drop))?;
    Ok((0..count).try_for_each(|number| fs::remove_file(name(number)))?)
}

fn unlink_refused(words: &mut Words<'_>) -> Result<(), Failure> {
    match fs::remove_file(words.path()?) {
        Ok(()) => Err("it was removed".into()),
        Err(_refused) => Ok(()),
    }
}

fn rmdir(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(fs::remove_dir(words.path()?)?)
}

fn rename(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(fs::rename(words.path()?, words.path()?)?)
}

fn exchange(words: &mut Words<'_>) -> Result<(), Failure> {
    let (one, other) = (words.c()?, words.c()?);
    let flags = libc::RENAME_EXCHANGE as usize;
    let args = [raw::HERE, one.as_ptr() as usize, raw::HERE, other.as_ptr() as usize, flags];
    // SAFETY: both paths live until the call is over.
    unsafe { raw::call(libc::SYS_renameat2, &args) }?;
    Ok(())
}

/// `FILE NEW`.
fn link(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(fs::hard_link(words.path()?, words.path()?)?)
}

/// `TARGET NEW`.
fn symlink(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(std::os::unix::fs::symlink(words.path()?, words.path()?)?)
}

fn mkdir(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(fs::create_dir(words.path()?)?)
}

fn fifo(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(nix::unistd::mkfifo(&words.path()?, nix::sys::stat::Mode::S_IRUSR)?)
}

/// `DIR NEW`: a file that had no name gets one.
fn link_nameless(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::options().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(words.path()?)?;
    let from = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let to = words.c()?;
    let flags = libc::AT_SYMLINK_FOLLOW as usize;
    let args = [raw::HERE, from.as_ptr() as usize, raw::HERE, to.as_ptr() as usize, flags];
    // SAFETY: both paths live until the call is over.
    unsafe { raw::call(libc::SYS_linkat, &args) }?;
    Ok(())
}
