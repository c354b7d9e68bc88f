//! Memory: as a place for data, as a program, and as a path that is not there when the kernel looks.

use std::{
    fs::{self, File},
    os::fd::{AsRawFd as _, FromRawFd as _},
};

use super::{
    Table, Words,
    change::{PAGE, mapped},
    raw,
};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("open-from-mapping", open_from_mapping),
    ("unlink-from-mapping", unlink_from_mapping),
    ("map-execute-nothing", map_execute_nothing),
    ("map-then-write", map_then_write),
    ("memory-file", memory_file),
    ("secret-memory", secret_memory),
];

/// A call whose path is in a page that has to come from a file first. `PATH NOTES`: PATH is written to NOTES.
fn from_mapping(
    words: &mut Words<'_>,
    then: impl FnOnce(usize) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let (path, notes) = (words.c()?, words.path()?);
    fs::write(&notes, path.as_bytes_with_nul())?;
    let file = File::open(notes)?;
    mapped(Some(&file), libc::PROT_READ, libc::MAP_PRIVATE, |page| {
        // SAFETY: nothing points into the page, which comes back with the same content.
        if unsafe { libc::madvise(page.cast(), PAGE, libc::MADV_DONTNEED) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(then(page as usize)?)
    })
}

fn open_from_mapping(words: &mut Words<'_>) -> Result<(), Failure> {
    from_mapping(words, |path| {
        // SAFETY: the path is in a page that is mapped until the call is over.
        drop(raw::owned(unsafe { raw::call(libc::SYS_openat, &[raw::HERE, path, 0, 0]) }?)?);
        Ok(())
    })
}

fn unlink_from_mapping(words: &mut Words<'_>) -> Result<(), Failure> {
    from_mapping(words, |path| {
        // SAFETY: the path is in a page that is mapped until the call is over.
        unsafe { raw::call(libc::SYS_unlinkat, &[raw::HERE, path, 0]) }?;
        Ok(())
    })
}

/// Memory of no file that can be written and executed from the start.
fn map_execute_nothing(_words: &mut Words<'_>) -> Result<(), Failure> {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    mapped(None, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, |_page| Ok(()))
}

/// `FILE`: mapped to be read, and made writable then.
fn map_then_write(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::options().read(true).write(true).open(words.path()?)?;
    mapped(Some(&file), libc::PROT_READ, libc::MAP_SHARED, |page| {
        // SAFETY: the page is this mapping's, and the file is not empty.
        unsafe {
            if libc::mprotect(page.cast(), PAGE, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return Err(std::io::Error::last_os_error().into());
            }
            page.write_volatile(b'M');
        }
        Ok(())
    })
}

/// Writes through a shared mapping of a file that is only in memory.
fn stage(descriptor: usize) -> Result<(), Failure> {
    // SAFETY: it has just been made and is nobody else's.
    let file = unsafe { File::from_raw_fd(i32::try_from(descriptor)?) };
    // SAFETY: no memory is passed. Secret memory has no other way to a size.
    unsafe { raw::call(libc::SYS_ftruncate, &[raw::number(file.as_raw_fd()), PAGE]) }?;
    mapped(Some(&file), libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, |page| {
        // SAFETY: the page is mapped to be written, and the file is as long.
        unsafe { page.write_volatile(b'M') };
        Ok(())
    })
}

fn memory_file(_words: &mut Words<'_>) -> Result<(), Failure> {
    // SAFETY: the name is a constant.
    stage(unsafe { raw::call(libc::SYS_memfd_create, &[c"staged".as_ptr() as usize, 0]) }?)
}

fn secret_memory(_words: &mut Words<'_>) -> Result<(), Failure> {
    // SAFETY: no memory is passed.
    stage(unsafe { raw::call(libc::SYS_memfd_secret, &[0]) }?)
}
