//! Ways to a file.

use std::{
    fs::{self, File},
    io::Write as _,
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
    path::Path,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{
    Table, Words,
    raw::{self, in_child},
};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("open", open),
    ("create", create),
    ("append", append),
    ("open-write", open_write),
    ("open-refused", open_refused),
    ("openat2", openat2),
    ("open-by-handle", open_by_handle),
    ("open-path-only", open_path_only),
    ("reopen", reopen),
    ("open-by-proc-root", open_by_proc_root),
    ("open-by-dots", open_by_dots),
    ("open-by-bind-mount", open_by_bind_mount),
    ("open-in-chroot", open_in_chroot),
    ("long-path", long_path),
    ("deep-path", deep_path),
    ("odd-names", odd_names),
];

fn open(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(File::open(words.path()?)?);
    Ok(())
}

fn create(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(File::create(words.path()?)?.write_all(b"content\n")?)
}

fn append(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(File::options().append(true).open(words.path()?)?.write_all(b"more\n")?)
}

/// To be written, but nothing is.
fn open_write(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(File::options().write(true).open(words.path()?)?);
    Ok(())
}

fn open_refused(words: &mut Words<'_>) -> Result<(), Failure> {
    match File::open(words.path()?) {
        Ok(_) => Err("it was opened".into()),
        Err(_refused) => Ok(()),
    }
}

/// `struct open_how`.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn openat2(words: &mut Words<'_>) -> Result<(), Failure> {
    const RESOLVE_NO_MAGICLINKS: u64 = 2;
    let path = words.c()?;
    let how = How { flags: 0, mode: 0, resolve: RESOLVE_NO_MAGICLINKS };
    let args = [raw::HERE, path.as_ptr() as usize, (&raw const how) as usize, size_of::<How>()];
    // SAFETY: the path and `how` live until the call is over.
    drop(raw::owned(unsafe { raw::call(libc::SYS_openat2, &args) }?)?);
    Ok(())
}

/// `struct file_handle` with room for any file system's handle.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    data: [u8; 128],
}

fn open_by_handle(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    let directory = File::open(path.parent().ok_or("no parent")?)?;
    let path = raw::c(&path)?;
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let mut mount = 0_i32;
    let (handle, mount) = ((&raw mut handle) as usize, (&raw mut mount) as usize);
    // SAFETY: path, handle and mount live until the calls are over.
    unsafe {
        raw::call(libc::SYS_name_to_handle_at, &[raw::HERE, path.as_ptr() as usize, handle, mount, 0])?;
        let number = raw::number(directory.as_raw_fd());
        drop(raw::owned(raw::call(libc::SYS_open_by_handle_at, &[number, handle, 0])?)?);
    }
    Ok(())
}

fn path_only(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(libc::O_PATH).open(path)
}

fn open_path_only(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(path_only(&words.path()?)?);
    Ok(())
}

/// By its descriptor's name in procfs.
fn reopen(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = path_only(&words.path()?)?;
    drop(File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?);
    Ok(())
}

fn open_by_proc_root(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    drop(File::open(Path::new("/proc/self/root").join(path.strip_prefix("/")?))?);
    Ok(())
}

fn open_by_dots(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    let (dir, name) = (path.parent().ok_or("no parent")?, path.file_name().ok_or("no name")?);
    let back = dir.file_name().ok_or("no name above")?;
    let mut text = dir.as_os_str().to_owned();
    for part in ["//./../".as_ref(), back, "/.//".as_ref(), name] {
        text.push(part);
    }
    drop(File::open(text)?);
    Ok(())
}

/// `FILE PLACE`: its directory is mounted at PLACE, in a mount namespace of its own.
fn open_by_bind_mount(words: &mut Words<'_>) -> Result<(), Failure> {
    let (file, place) = (words.path()?, words.path()?);
    fs::create_dir(&place)?;
    in_child(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let nothing: Option<&Path> = None;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
        mount(file.parent(), &place, nothing, MsFlags::MS_BIND, nothing)?;
        drop(File::open(place.join(file.file_name().ok_or("no name")?))?);
        Ok(())
    })
}

/// `DIR NAME`: `/NAME` after a chroot to DIR.
fn open_in_chroot(words: &mut Words<'_>) -> Result<(), Failure> {
    let (dir, name) = (words.path()?, words.path()?);
    in_child(|| {
        nix::unistd::chroot(&dir)?;
        nix::unistd::chdir("/")?;
        drop(File::open(Path::new("/").join(name))?);
        Ok(())
    })
}

/// Creates a file whose absolute path has 4095 bytes, the most that a call takes.
fn long_path(_words: &mut Words<'_>) -> Result<(), Failure> {
    const LONGEST: usize = libc::PATH_MAX as usize - 1;
    let mut path = std::env::current_dir()?;
    let mut made = Vec::new();
    loop {
        let left = LONGEST - path.as_os_str().len() - 1;
        if left <= 200 {
            path.push("f".repeat(left));
            break;
        }
        // What is left after it must be enough for a name.
        path.push("d".repeat(if left < 210 { 100 } else { 200 }));
        fs::create_dir(&path)?;
        made.push(path.clone());
    }
    drop(File::create(&path)?);
    fs::remove_file(&path)?;
    made.iter().rev().try_for_each(fs::remove_dir)?;
    Ok(())
}

/// `COUNT`: creates a file so many directories down, and takes all of it away again.
fn deep_path(words: &mut Words<'_>) -> Result<(), Failure> {
    let count: usize = words.number()?;
    in_child(|| {
        for _ in 0..count {
            fs::create_dir("d")?;
            std::env::set_current_dir("d")?;
        }
        drop(File::create("deep")?);
        fs::remove_file("deep")?;
        for _ in 0..count {
            std::env::set_current_dir("..")?;
            fs::remove_dir("d")?;
        }
        Ok(())
    })
}

/// A line end, bytes that are no UTF-8, and what looks like the end of a JSON text.
fn odd_names(_words: &mut Words<'_>) -> Result<(), Failure> {
    for name in [&b"new\nline"[..], b"no-\xff\xfe-text", b"a\"},{\"act\":\"forged"] {
        drop(File::create(Path::new(std::ffi::OsStr::from_bytes(name)))?);
    }
    Ok(())
}
