//! Content, metadata and mappings of files.

use std::{
    fs::{self, File},
    io::Write as _,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
};

use super::{Table, Words, raw};
use crate::{wait, work::Failure};

pub(super) const ACTS: Table = &[
    ("truncate", truncate),
    ("ftruncate", ftruncate),
    ("open-truncate", open_truncate),
    ("copy-range", copy_range),
    ("sendfile", sendfile),
    ("splice-closed", splice_closed),
    ("allocate", allocate),
    ("map-write", map_write),
    ("map-execute", map_execute),
    ("protect-execute", protect_execute),
    ("chmod", chmod),
    ("fchmod", fchmod),
    ("chown", chown),
    ("set-attribute", set_attribute),
    ("remove-attribute", remove_attribute),
];

fn truncate(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.c()?;
    // SAFETY: the path lives until the call is over.
    unsafe { raw::call(libc::SYS_truncate, &[path.as_ptr() as usize, words.number()?]) }?;
    Ok(())
}

fn ftruncate(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(File::options().write(true).open(words.path()?)?.set_len(words.number()?)?)
}

fn open_truncate(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(File::options().write(true).truncate(true).open(words.path()?)?);
    Ok(())
}

fn two(words: &mut Words<'_>) -> Result<(File, File), Failure> {
    Ok((
        File::open(words.path()?)?,
        File::options().write(true).create(true).truncate(false).open(words.path()?)?,
    ))
}

/// `FROM TO`.
fn copy_range(words: &mut Words<'_>) -> Result<(), Failure> {
    let (from, to) = two(words)?;
    let args = [raw::number(from.as_raw_fd()), 0, raw::number(to.as_raw_fd()), 0, 8, 0];
    // SAFETY: no memory is passed.
    unsafe { raw::call(libc::SYS_copy_file_range, &args) }?;
    Ok(())
}

/// `FROM TO`.
fn sendfile(words: &mut Words<'_>) -> Result<(), Failure> {
    let (from, to) = two(words)?;
    // SAFETY: no memory is passed.
    unsafe {
        raw::call(libc::SYS_sendfile, &[raw::number(to.as_raw_fd()), raw::number(from.as_raw_fd()), 0, 8])
    }?;
    Ok(())
}

/// `TO`: content comes from a pipe, and while the call waits for it, another thread closes the
/// descriptor.
fn splice_closed(words: &mut Words<'_>) -> Result<(), Failure> {
    let to = File::create(words.path()?)?;
    let (from, mut pipe) = std::io::pipe()?;
    let args = [raw::number(from.as_raw_fd()), 0, raw::number(to.as_raw_fd()), 0, 1, 0];
    let call = format!("/proc/self/task/{}/syscall", nix::unistd::gettid());
    let waits = format!("{} ", libc::SYS_splice);
    std::thread::scope(|scope| -> Result<(), Failure> {
        let closed = scope.spawn(move || {
            wait::until("the call waits", || match fs::read_to_string(&call) {
                Ok(now) if now.starts_with(&waits) => Ok(()),
                other => Err(format!("{other:?}")),
            });
            drop(to);
            pipe.write_all(b"x")
        });
        // SAFETY: no memory is passed.
        unsafe { raw::call(libc::SYS_splice, &args) }?;
        Ok(closed.join().map_err(|_panic| "the thread panicked")??)
    })
}

fn allocate(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::options().write(true).open(words.path()?)?;
    // SAFETY: no memory is passed.
    unsafe { raw::call(libc::SYS_fallocate, &[raw::number(file.as_raw_fd()), 0, 0, 8192]) }?;
    Ok(())
}

pub(super) const PAGE: usize = 4096;

/// Maps a page, does something with it, and takes it away.
pub(super) fn mapped(
    file: Option<&File>,
    protection: i32,
    flags: i32,
    then: impl FnOnce(*mut u8) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let number = file.map_or(-1, File::as_raw_fd);
    // SAFETY: the kernel chooses the place, so that nothing is there yet.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, number, 0) };
    if page == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error().into());
    }
    let result = then(page.cast());
    // SAFETY: the page was just mapped, and nothing points to it any more.
    unsafe { libc::munmap(page, PAGE) };
    result
}

/// Writes through shared memory.
fn map_write(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::options().read(true).write(true).open(words.path()?)?;
    mapped(Some(&file), libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, |page| {
        // SAFETY: the page is mapped to be written, and the file is not empty.
        unsafe { page.write_volatile(b'M') };
        Ok(())
    })
}

fn map_execute(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::open(words.path()?)?;
    mapped(Some(&file), libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, |_page| Ok(()))
}

/// Memory of no file, written first and made executable then.
fn protect_execute(_words: &mut Words<'_>) -> Result<(), Failure> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    mapped(None, libc::PROT_READ | libc::PROT_WRITE, flags, |page| {
        // SAFETY: the page is mapped to be written, and nothing runs in it.
        let result = unsafe {
            page.write_volatile(0xc3);
            libc::mprotect(page.cast(), PAGE, libc::PROT_READ | libc::PROT_EXEC)
        };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
    })
}

/// `FILE MODE`, in octal digits.
fn chmod(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(u32::from_str_radix(words.text()?, 8)?))?)
}

fn fchmod(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::open(words.path()?)?;
    Ok(file.set_permissions(fs::Permissions::from_mode(u32::from_str_radix(words.text()?, 8)?))?)
}

/// `FILE UID GID`.
fn chown(words: &mut Words<'_>) -> Result<(), Failure> {
    let (path, uid, gid) = (words.path()?, words.number()?, words.number()?);
    Ok(std::os::unix::fs::chown(path, Some(uid), Some(gid))?)
}

/// `FILE NAME`.
fn set_attribute(words: &mut Words<'_>) -> Result<(), Failure> {
    let (path, name) = (words.c()?, words.c()?);
    let args = [path.as_ptr() as usize, name.as_ptr() as usize, b"x".as_ptr() as usize, 1, 0];
    // SAFETY: path, name and value live until the call is over.
    unsafe { raw::call(libc::SYS_setxattr, &args) }?;
    Ok(())
}

/// `FILE NAME`.
fn remove_attribute(words: &mut Words<'_>) -> Result<(), Failure> {
    let (path, name) = (words.c()?, words.c()?);
    // SAFETY: path and name live until the call is over.
    unsafe { raw::call(libc::SYS_removexattr, &[path.as_ptr() as usize, name.as_ptr() as usize]) }?;
    Ok(())
}
