//! Memory: as a place for data, as a program, and as a path that is not there when the kernel
//! looks.

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
    ("unlink-from-fault", unlink_from_fault),
    ("map-execute-nothing", map_execute_nothing),
    ("map-then-write", map_then_write),
    ("memory-file", memory_file),
    ("secret-memory", secret_memory),
];

/// A call whose path is in a page that has to come from a file first. `PATH NOTES`: PATH is written
/// to NOTES.
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

/// `PATH`: a call whose path is in a page that another thread fills while the kernel waits for it
/// (userfaultfd).
fn unlink_from_fault(words: &mut Words<'_>) -> Result<(), Failure> {
    const INTRODUCE: usize = 0xc018_aa3f;
    const REGISTER: usize = 0xc020_aa00;
    const COPY: usize = 0xc028_aa03;
    const VERSION: u64 = 0xaa;
    const MISSING: u64 = 1;
    let path = words.c()?;
    let mut content = [0_u8; PAGE];
    content[..path.as_bytes().len()].copy_from_slice(path.as_bytes());
    // SAFETY: no memory is passed.
    let faults = raw::owned(unsafe { raw::call(libc::SYS_userfaultfd, &[0]) }?)?;
    let faults = File::from(faults);
    let number = raw::number(faults.as_raw_fd());
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    mapped(None, libc::PROT_READ | libc::PROT_WRITE, flags, |page| {
        let (place, length) = (page as u64, PAGE as u64);
        // The version, and what the kernel offers; the range, how, and what can be done with it.
        let (mut version, mut range) = ([VERSION, 0, 0], [place, length, MISSING, 0]);
        // SAFETY: both lists live until their calls are over; the page is this mapping's.
        unsafe {
            raw::call(libc::SYS_ioctl, &[number, INTRODUCE, version.as_mut_ptr() as usize])?;
            raw::call(libc::SYS_ioctl, &[number, REGISTER, range.as_mut_ptr() as usize])?;
        }
        std::thread::scope(|scope| -> Result<(), Failure> {
            let filled = scope.spawn(|| -> std::io::Result<usize> {
                std::io::Read::read_exact(&mut &faults, &mut [0; 32])?;
                // Where to, where from, how much, how, and the result.
                let mut copy = [place, content.as_ptr() as u64, length, 0, 0];
                // SAFETY: the content and the list live until the call is over.
                unsafe { raw::call(libc::SYS_ioctl, &[number, COPY, copy.as_mut_ptr() as usize]) }
            });
            // SAFETY: the path is in a page that is mapped until the call is over.
            unsafe { raw::call(libc::SYS_unlinkat, &[raw::HERE, page as usize, 0]) }?;
            filled.join().map_err(|_panic| "the thread panicked")??;
            Ok(())
        })
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
