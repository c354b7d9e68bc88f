//! `workload_files DIR`: one of each act on files that the sensor reports, in DIR and in a fixed
//! order. It ends as the interpreter of a script of its own: `workload_files script PATH`.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{
    ffi::{CString, c_int, c_void},
    fs::{self, File, OpenOptions, Permissions},
    io::Write as _,
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink},
            process::CommandExt as _,
        },
    },
    path::Path,
    process::Command,
    ptr,
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, FallocateFlags, RenameFlags, fallocate, renameat2},
    libc,
    sys::stat::{Mode, SFlag, mknod},
    unistd::{execv, execveat, linkat, mkdir, truncate},
};
use sentry_tests::work::{Arguments, Deadline, Failure};

const PAGE: usize = 4096;

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let dir = args.path("DIR")?;
    if dir == Path::new("script") {
        return Ok(());
    }
    contents(&dir)?;
    names(&dir)?;
    nameless(&dir)?;
    memory(&dir)?;
    forbidden(&dir)?;
    let failure = script(&dir);
    Err(failure)
}

fn c_path(path: &Path) -> Result<CString, Failure> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Turns the answer of a system call into a result.
fn done(answer: impl Into<i64>) -> Result<(), Errno> {
    if answer.into() < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// It has to be refused in this way.
fn refused<T>(result: Result<T, Errno>, with: Errno) -> Result<(), Failure> {
    match result {
        Err(errno) if errno == with => Ok(()),
        Err(errno) => Err(format!("refused with {errno} instead of {with}").into()),
        Ok(_) => Err(format!("done, not refused with {with}").into()),
    }
}

fn contents(dir: &Path) -> Result<(), Failure> {
    let path = dir.join("data");
    let mut data = File::create_new(&path)?;
    data.write_all(b"some data")?;
    data.set_len(8)?;
    truncate(&path, 4)?;
    fs::set_permissions(&path, Permissions::from_mode(0o640))?;
    chown(&path, Some(1), Some(2))?;
    let (text, name) = (c_path(&path)?, c"trusted.agentsentry");
    // SAFETY: strings and a buffer that live during the calls.
    unsafe {
        done(libc::setxattr(text.as_ptr(), name.as_ptr(), b"value".as_ptr().cast(), 5, 0))?;
        done(libc::removexattr(text.as_ptr(), name.as_ptr()))?;
    }
    fallocate(&data, FallocateFlags::empty(), 0, 16)?;
    // SAFETY: no memory is passed. No mode has this bit.
    let answer = unsafe { libc::fallocate(data.as_raw_fd(), 1 << 14, 0, 16) };
    refused(done(answer), Errno::EOPNOTSUPP)?;
    drop(data);
    let from = File::open(&path)?;
    let to = File::create_new(dir.join("copy"))?;
    // SAFETY: both files go on at their own offsets; no memory is passed.
    let copied = unsafe {
        libc::copy_file_range(from.as_raw_fd(), ptr::null_mut(), to.as_raw_fd(), ptr::null_mut(), 16, 0)
    };
    if copied != 16 {
        return Err(format!("copied {copied} bytes").into());
    }
    // SAFETY: no memory is passed. No file system clones from a directory.
    let answer = unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, File::open(dir)?.as_raw_fd()) };
    refused(done(answer), Errno::EISDIR)
}

fn names(dir: &Path) -> Result<(), Failure> {
    let (data, copy) = (dir.join("data"), dir.join("copy"));
    fs::hard_link(&data, dir.join("link"))?;
    drop(File::open(dir.join("link"))?);
    symlink("data", dir.join("pointer"))?;
    fs::create_dir(dir.join("directory"))?;
    for (name, kind) in [("pipe", SFlag::S_IFIFO), ("plain", SFlag::S_IFREG)] {
        mknod(&dir.join(name), kind, Mode::from_bits_truncate(0o600), 0)?;
    }
    renameat2(AT_FDCWD, &data, AT_FDCWD, &copy, RenameFlags::RENAME_EXCHANGE)?;
    Ok(())
}

/// A file that gets a name at last.
fn nameless(dir: &Path) -> Result<(), Failure> {
    let mut file = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(dir)?;
    file.write_all(b"no name")?;
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(AT_FDCWD, opened.as_str(), AT_FDCWD, &dir.join("named"), AtFlags::AT_SYMLINK_FOLLOW)?;
    Ok(())
}

fn memory(dir: &Path) -> Result<(), Failure> {
    let file = OpenOptions::new().read(true).write(true).open(dir.join("data"))?;
    let (read, write, execute) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    map(Some(&file), read | write, libc::MAP_SHARED)?;
    let late = map(Some(&file), read, libc::MAP_SHARED)?;
    protect(late, read | write)?;
    map(Some(&file), read | execute, libc::MAP_PRIVATE)?;
    map(None, read | execute, libc::MAP_PRIVATE)?;
    let own = map(None, read | write, libc::MAP_PRIVATE)?;
    protect(own, read | execute)?;
    Ok(())
}

/// A page of new memory, with or without a file behind it.
fn map(file: Option<&File>, protection: c_int, sharing: c_int) -> Result<*mut c_void, Errno> {
    let (flags, descriptor) = match file {
        Some(file) => (sharing, file.as_raw_fd()),
        None => (sharing | libc::MAP_ANONYMOUS, -1),
    };
    // SAFETY: the kernel chooses the place; nothing is there yet.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, flags, descriptor, 0) };
    if page == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(page) }
}

fn protect(page: *mut c_void, protection: c_int) -> Result<(), Errno> {
    // SAFETY: a page of `map` that nothing in this program lies in.
    done(unsafe { libc::mprotect(page, PAGE, protection) })
}

/// A directory that a security module refuses: this program's own Landlock rule, where the kernel
/// has Landlock.
fn forbidden(dir: &Path) -> Result<(), Failure> {
    /// `LANDLOCK_ACCESS_FS_MAKE_DIR`, the whole of `struct landlock_ruleset_attr` in its first
    /// version (5.13).
    const MAKE_DIRECTORY: u64 = 1 << 7;
    // SAFETY: the structure lives during the call.
    let rules = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::from_ref(&MAKE_DIRECTORY),
            size_of_val(&MAKE_DIRECTORY),
            0,
        )
    };
    match done(rules) {
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP) => return Ok(()),
        other => other?,
    }
    // SAFETY: no memory is passed.
    unsafe {
        done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        done(libc::syscall(libc::SYS_landlock_restrict_self, rules, 0))?;
    }
    refused(mkdir(&dir.join("forbidden"), Mode::S_IRWXU), Errno::EACCES)
}

/// Ends the program, unless it fails.
fn script(dir: &Path) -> Failure {
    match prepare(dir) {
        Ok(mut script) => script.exec().into(),
        Err(failure) => failure,
    }
}

fn prepare(dir: &Path) -> Result<Command, Failure> {
    refused(execv(&c_path(&dir.join("nothing"))?, &[c"nothing"]), Errno::ENOENT)?;
    let opened = File::open(dir)?;
    refused(execveat(&opened, c"plain", &[c"plain"], &[c"A=B"], AtFlags::empty()), Errno::EACCES)?;
    let path = dir.join("script");
    let this = std::env::current_exe()?;
    fs::write(&path, format!("#!{} script\n", this.display()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o700))?;
    Ok(Command::new(path))
}
