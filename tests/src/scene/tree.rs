//! Processes, sessions and control groups.

use std::{
    fs,
    fs::File,
    io::Read as _,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use nix::{
    sys::resource::{Resource, setrlimit},
    unistd::{Gid, Uid, getpid, setgid, setgroups, setsid, setuid},
};

use super::{
    Table, Words,
    raw::{self, in_child},
};
use crate::{cgroup, procs, work::Failure};

pub(super) const ACTS: Table = &[
    ("nothing", nothing),
    ("fork", fork),
    ("fail", fail),
    ("sleep", stay),
    ("orphan-opens", orphan_opens),
    ("session-opens", session_opens),
    ("child-group-opens", child_group_opens),
    ("outside-opens", outside_opens),
    ("born-outside-opens", born_outside_opens),
    ("born-outside-forks", born_outside_forks),
    ("rename-self", rename_self),
    ("birth-refused", birth_refused),
    ("births-refused-opens", births_refused_opens),
    ("grace-periods", grace_periods),
];

/// Takes any arguments.
fn nothing(words: &mut Words<'_>) -> Result<(), Failure> {
    drop(words.rest());
    Ok(())
}

fn fork(_words: &mut Words<'_>) -> Result<(), Failure> {
    in_child(|| Ok(()))
}

/// `CODE`.
fn fail(words: &mut Words<'_>) -> Result<(), Failure> {
    std::process::exit(words.number()?)
}

/// A target for others, until its end.
fn stay(_words: &mut Words<'_>) -> Result<(), Failure> {
    crate::work::wait_for_the_end()
}

/// `FILE`: opened by a process whose parents have all ended.
fn orphan_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    let (mut done, mut tell) = std::io::pipe()?;
    in_child(|| {
        setsid()?;
        let between = getpid();
        // SAFETY: this process has one thread, so the child may go on with everything it has.
        if let nix::unistd::ForkResult::Child = unsafe { nix::unistd::fork() }? {
            while nix::unistd::getppid() == between {
                std::thread::yield_now();
            }
            drop(File::open(&path)?);
            std::io::Write::write_all(&mut tell, b"!")?;
        }
        Ok(())
    })?;
    Ok(done.read_exact(&mut [0])?)
}

/// `FILE`: opened in a session of its own.
fn session_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    in_child(|| {
        setsid()?;
        drop(File::open(&path)?);
        Ok(())
    })
}

pub(super) fn enter(group: &Path) -> Result<(), Failure> {
    Ok(fs::write(group.join("cgroup.procs"), getpid().to_string())?)
}

/// A new group below the own one.
pub(super) fn group_below(name: &str) -> Result<PathBuf, Failure> {
    let own = procs::cgroup(std::process::id()).ok_or("no cgroup v2")?;
    let name = format!("{name}-{}", std::process::id());
    let below = cgroup::mount().join(own.trim_start_matches('/')).join(name);
    fs::create_dir(&below)?;
    Ok(below)
}

/// `FILE`: opened in a group that is made below the own one.
fn child_group_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    let child = group_below("scene")?;
    in_child(|| {
        enter(&child)?;
        drop(File::open(&path)?);
        Ok(())
    })?;
    Ok(fs::remove_dir(&child)?)
}

/// `GROUP FILE`: opened after moving there.
fn outside_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let (group, path) = (words.path()?, words.path()?);
    in_child(|| {
        enter(&group)?;
        drop(File::open(&path)?);
        Ok(())
    })
}

/// `struct clone_args` up to the control group.
#[repr(C)]
#[derive(Default)]
pub(super) struct Birth {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// `GROUP FILE`: opened by a child that is born there.
fn born_outside_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    born_outside(words, |path| File::open(path).map(drop).map_err(Into::into))
}

/// `GROUP FILE`: opened by a child of the child that is born there.
fn born_outside_forks(words: &mut Words<'_>) -> Result<(), Failure> {
    born_outside(words, |path| {
        in_child(|| {
            drop(File::open(path)?);
            Ok(())
        })
    })
}

fn born_outside(
    words: &mut Words<'_>,
    act: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let (group, path) = (File::open(words.path()?)?, words.path()?);
    let birth = Birth {
        flags: CLONE_INTO_CGROUP,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        cgroup: u64::from(group.as_raw_fd().unsigned_abs()),
        ..Birth::default()
    };
    // SAFETY: as with fork: no memory is shared, and this process has one thread.
    match unsafe { raw::call(libc::SYS_clone3, &[(&raw const birth) as usize, size_of::<Birth>()]) }? {
        0 => std::process::exit(i32::from(act(&path).is_err())),
        child => {
            let status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(i32::try_from(child)?), None)?;
            match status {
                nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
                other => Err(format!("the child ended with {other:?}").into()),
            }
        }
    }
}

/// `USER`: becomes that user, who may have one process, and is refused a child.
fn birth_refused(words: &mut Words<'_>) -> Result<(), Failure> {
    become_lonely(words.number()?)?;
    refused()
}

/// `USER COUNT FILE`: the same so many times, with an open of the file after each. What the kernel
/// frees "later" is freed between any two of them.
fn births_refused_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    const MEMBARRIER_CMD_GLOBAL: usize = 1;
    let (user, count): (u32, u32) = (words.number()?, words.number()?);
    let path = words.path()?;
    become_lonely(user)?;
    for number in 0..count {
        refused()?;
        drop(File::open(&path)?);
        if number % 10 == 9 {
            // SAFETY: takes no memory.
            unsafe { raw::call(libc::SYS_membarrier, &[MEMBARRIER_CMD_GLOBAL, 0, 0]) }?;
        }
    }
    Ok(())
}

/// Becomes a user who may have one process.
fn become_lonely(user: u32) -> Result<(), Failure> {
    setrlimit(Resource::RLIMIT_NPROC, 1, 1)?;
    setgroups(&[])?;
    setgid(Gid::from_raw(user))?;
    Ok(setuid(Uid::from_raw(user))?)
}

/// A birth that the kernel refuses once it has copied the parent's task.
fn refused() -> Result<(), Failure> {
    // SAFETY: this process has one thread, so a child could go on with everything it has.
    match unsafe { nix::unistd::fork() } {
        Err(nix::errno::Errno::EAGAIN) => Ok(()),
        Err(other) => Err(other.into()),
        Ok(nix::unistd::ForkResult::Child) => std::process::exit(0),
        Ok(nix::unistd::ForkResult::Parent { child }) => Err(format!("child {child} was made").into()),
    }
}

/// Until what the kernel freed "later" before is free: what it defers waits for one period, and its
/// call-back may come late in the next.
fn grace_periods(_words: &mut Words<'_>) -> Result<(), Failure> {
    const MEMBARRIER_CMD_GLOBAL: usize = 1;
    for _ in 0..10 {
        // SAFETY: takes no memory.
        unsafe { raw::call(libc::SYS_membarrier, &[MEMBARRIER_CMD_GLOBAL, 0, 0]) }?;
    }
    Ok(())
}

/// `NAME`: what `ps` shows from now on.
fn rename_self(words: &mut Words<'_>) -> Result<(), Failure> {
    Ok(nix::sys::prctl::set_name(&words.c()?)?)
}
