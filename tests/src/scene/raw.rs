//! System calls, for acts that the standard library does in another way or not at all.

use std::{
    ffi::CString,
    io::{Error, Result},
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
    path::Path,
};

use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};

use crate::work::Failure;

/// One system call with its arguments as numbers.
///
/// # Safety
/// As far as the call reads or writes memory, the arguments have to point to it.
pub(super) unsafe fn call(number: libc::c_long, args: &[usize]) -> Result<usize> {
    let at = |index: usize| args.get(index).copied().unwrap_or(0);
    // SAFETY: the caller answers for the memory; arguments that a call does not have are ignored.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    usize::try_from(result).map_err(|_negative| Error::last_os_error())
}

/// The descriptor that a call has just returned.
pub(super) fn owned(descriptor: usize) -> Result<OwnedFd> {
    let descriptor = RawFd::try_from(descriptor).map_err(Error::other)?;
    // SAFETY: it is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A descriptor as an argument.
pub(super) fn number(descriptor: RawFd) -> usize {
    // Negative ones (AT_FDCWD) keep their sign, as the kernel takes the lower half.
    descriptor as isize as usize
}

pub(super) const HERE: usize = libc::AT_FDCWD as isize as usize;

pub(super) fn c(path: &Path) -> Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(path.as_os_str().as_bytes()).map_err(Error::other)
}

/// Does something in a child and waits for it; what it returns is the child's success.
pub(super) fn in_child(
    what: impl FnOnce() -> std::result::Result<(), Failure>,
) -> std::result::Result<(), Failure> {
    // SAFETY: this process has one thread, so the child may go on with everything it has.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = what().map_or_else(
                |error| {
                    eprintln!("child: {error}");
                    1
                },
                |()| 0,
            );
            // SAFETY: ends the child without what the parent left to be done at its end.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => Err(format!("the child ended with {other:?}").into()),
        },
    }
}
