//! Calls that another process or thread rewrites on their way.

use std::{
    fs::File,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::{
    sys::{ptrace, signal::Signal, wait::WaitStatus, wait::waitpid},
    unistd::{ForkResult, Pid, fork},
};

use super::{Table, Words, raw};
use crate::work::Failure;

pub(super) const ACTS: Table = &[("open-rewritten", open_rewritten), ("open-answered", open_answered)];

/// `FILE OTHER`, names of one length: a child opens FILE, and its tracer writes OTHER over the name
/// on the way.
fn open_rewritten(words: &mut Words<'_>) -> Result<(), Failure> {
    let (file, other) = (words.c()?, words.c()?);
    if file.as_bytes().len() != other.as_bytes().len() {
        return Err("the names differ in length".into());
    }
    // SAFETY: this process has one thread, so the child may go on with everything it has.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = ptrace::traceme().is_err() || nix::sys::signal::raise(Signal::SIGSTOP).is_err() || {
                // SAFETY: the path lives until the call is over.
                unsafe { libc::open(file.as_ptr(), libc::O_RDONLY) < 0 }
            };
            // SAFETY: ends the child without what the parent left to be done at its end.
            unsafe { libc::_exit(i32::from(code)) }
        }
        ForkResult::Parent { child } => {
            waitpid(child, None)?;
            ptrace::setoptions(child, ptrace::Options::PTRACE_O_TRACESYSGOOD)?;
            loop {
                ptrace::syscall(child, None)?;
                match waitpid(child, None)? {
                    WaitStatus::PtraceSyscall(_) => rewrite(child, file.as_ptr() as usize, &other)?,
                    WaitStatus::Exited(_, 0) => return Ok(()),
                    WaitStatus::Stopped(..) => {}
                    status => return Err(format!("the child: {status:?}").into()),
                }
            }
        }
    }
}

/// `struct ptrace_syscall_info` up to the arguments of a call that begins.
#[repr(C)]
#[derive(Default)]
struct Information {
    what: u8,
    padding: [u8; 3],
    arch: u32,
    instruction: u64,
    stack: u64,
    number: u64,
    arguments: [u64; 6],
}

fn rewrite(child: Pid, place: usize, text: &std::ffi::CStr) -> Result<(), Failure> {
    const GET_SYSCALL_INFO: usize = 0x420e;
    const BEGINS: u8 = 1;
    let mut information = Information::default();
    let child_number = usize::try_from(child.as_raw())?;
    let args = [GET_SYSCALL_INFO, child_number, size_of::<Information>(), (&raw mut information) as usize];
    // SAFETY: the structure lives until the call is over, and the kernel writes no more than its
    // size.
    unsafe { raw::call(libc::SYS_ptrace, &args) }?;
    let opens = i64::try_from(information.number)? == libc::SYS_openat;
    if information.what != BEGINS || !opens || usize::try_from(information.arguments[1])? != place {
        return Ok(());
    }
    let bytes = text.to_bytes_with_nul();
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: place as *mut libc::c_void, iov_len: bytes.len() };
    let args = [child_number, (&raw const local) as usize, 1, (&raw const remote) as usize, 1, 0];
    // SAFETY: the text and both lists live until the call is over; the other address is in the
    // child, which stands still.
    unsafe { raw::call(libc::SYS_process_vm_writev, &args) }?;
    Ok(())
}

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Default)]
struct Question {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    arch: u32,
    instruction: u64,
    arguments: [u64; 6],
}

/// `struct seccomp_notif_addfd`.
#[repr(C)]
struct Answer {
    id: u64,
    flags: u32,
    source: u32,
    new: u32,
    new_flags: u32,
}

/// `FILE OTHER`: a thread opens FILE; its call is held by a filter, and this thread answers with
/// OTHER.
fn open_answered(words: &mut Words<'_>) -> Result<(), Failure> {
    const RECEIVE: u64 = 0xc050_2100;
    const ADD: u64 = 0x4018_2103;
    const AND_ANSWER: u32 = 2;
    let (file, other) = (words.c()?, words.path()?);
    let (tell, told) = std::sync::mpsc::sync_channel::<OwnedFd>(1);
    let thread = std::thread::spawn(move || -> std::io::Result<()> {
        tell.send(hold_opens()?).map_err(std::io::Error::other)?;
        // SAFETY: the path lives until the call is over.
        drop(raw::owned(unsafe {
            raw::call(libc::SYS_openat, &[raw::HERE, file.as_ptr() as usize, 0, 0])
        }?)?);
        Ok(())
    });
    let Ok(listener) = told.recv() else {
        return Err(format!("{:?}", thread.join()).into());
    };
    let listener = raw::number(listener.as_raw_fd());
    let (mut question, other) = (Question::default(), File::open(other)?);
    // SAFETY: both structures live until their calls are over.
    unsafe {
        raw::call(libc::SYS_ioctl, &[listener, usize::try_from(RECEIVE)?, (&raw mut question) as usize])?;
        let source = u32::try_from(other.as_raw_fd())?;
        let answer = Answer { id: question.id, flags: AND_ANSWER, source, new: 0, new_flags: 0 };
        raw::call(libc::SYS_ioctl, &[listener, usize::try_from(ADD)?, (&raw const answer) as usize])?;
    }
    Ok(thread.join().map_err(|_panic| "the thread panicked")??)
}

/// From now on the calling thread's opens wait for somebody who answers at the descriptor.
fn hold_opens() -> std::io::Result<OwnedFd> {
    const SET_FILTER: usize = 1;
    const NEW_LISTENER: usize = 8;
    const ALLOW: u32 = 0x7fff_0000;
    const ASK: u32 = 0x7fc0_0000;
    let step = |code: u32, jump_false: u8, value: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: 0,
        jf: jump_false,
        k: value,
    };
    // The number of the call stands first.
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            1,
            u32::try_from(libc::SYS_openat).unwrap_or_default(),
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, ASK),
        step(libc::BPF_RET | libc::BPF_K, 0, ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the program and its steps live until the call is over.
    raw::owned(unsafe {
        raw::call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0])?;
        raw::call(libc::SYS_seccomp, &[SET_FILTER, NEW_LISTENER, (&raw const program) as usize])?
    })
}
