//! Numbers of processes, which are used again or mean another process elsewhere, and groups that go
//! before them.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};

use super::{
    Table, Words,
    raw::{self, in_child},
    tree::{Birth, enter, group_below},
};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("reuse-number", reuse_number),
    ("pid-namespace-opens", pid_namespace_opens),
    ("removed-group-opens", removed_group_opens),
    ("thread-group-opens", thread_group_opens),
];

/// `FILE…`: each is opened by a child of its own; all these children have the same number.
fn reuse_number(words: &mut Words<'_>) -> Result<(), Failure> {
    let mut number: i32 = 0;
    for (turn, path) in words.rest().iter().enumerate() {
        let birth = Birth {
            exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
            set_tid: if turn == 0 { 0 } else { (&raw const number) as u64 },
            set_tid_size: u64::from(turn > 0),
            ..Birth::default()
        };
        // SAFETY: as with fork: no memory is shared, and this process has one thread.
        match unsafe { raw::call(libc::SYS_clone3, &[(&raw const birth) as usize, size_of::<Birth>()]) }? {
            0 => std::process::exit(i32::from(File::open(path).is_err())),
            child => number = i32::try_from(child)?,
        }
        match waitpid(Pid::from_raw(number), None)? {
            WaitStatus::Exited(_, 0) => {}
            other => return Err(format!("the child ended with {other:?}").into()),
        }
    }
    Ok(())
}

/// `FILE`: opened by the first process of a pid namespace, whose number there is 1, after it
/// executed nothing.
fn pid_namespace_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    in_child(|| {
        unshare(CloneFlags::CLONE_NEWPID)?;
        in_child(|| {
            if std::process::id() != 1 {
                return Err("it is not the first".into());
            }
            drop(File::open(&path)?);
            Ok(())
        })
    })
}

/// `GROUP FILE`: opened by a process that was in a group below the own one, left it for GROUP, and
/// outlived it.
fn removed_group_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let (outside, path) = (words.path()?, words.path()?);
    let below = group_below("removed")?;
    let ((mut left, mut leave), (mut gone, mut go)) = (std::io::pipe()?, std::io::pipe()?);
    // SAFETY: this process has one thread, so the child may go on with everything it has.
    let child = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let mut act = || -> Result<(), Failure> {
                enter(&below)?;
                enter(&outside)?;
                leave.write_all(b"!")?;
                gone.read_exact(&mut [0])?;
                drop(File::open(&path)?);
                Ok(())
            };
            std::process::exit(i32::from(act().is_err()))
        }
    };
    left.read_exact(&mut [0])?;
    fs::remove_dir(&below)?;
    go.write_all(b"!")?;
    match waitpid(child, None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        other => Err(format!("the child ended with {other:?}").into()),
    }
}

/// `FILE`: opened by a single thread that moved to a group for threads, below a group below the own
/// one.
fn thread_group_opens(words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.path()?;
    let below = group_below("threads")?;
    let threads = below.join("apart");
    fs::create_dir(&threads)?;
    fs::write(threads.join("cgroup.type"), "threaded")?;
    in_child(|| {
        enter(&below)?;
        let moved = std::thread::spawn(move || -> std::io::Result<()> {
            fs::write(threads.join("cgroup.threads"), nix::unistd::gettid().to_string())?;
            drop(File::open(&path)?);
            Ok(())
        });
        Ok(moved.join().map_err(|_panic| "the thread panicked")??)
    })?;
    fs::remove_dir(below.join("apart"))?;
    Ok(fs::remove_dir(below)?)
}
