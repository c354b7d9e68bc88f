//! `workload_reach PID DIR`: one of each act on another process and on the kernel. PID is a process
//! of root outside of the run, DIR a directory to mount something at. Each call that the kernel
//! refuses is named on standard output.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{
    ffi::CString,
    fs::{self, OpenOptions},
    io::Error,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use nix::{
    libc::{self, c_int, c_long},
    mount::{MsFlags, mount, umount},
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, Uid, chroot, fork, setuid},
};
use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let life = Deadline::new();
    let mut args = Arguments::new();
    let (target, dir) = (args.number("PID")?, args.path("DIR")?);
    signals(target, life)?;
    access(target, life)?;
    kernel();
    in_child(life, || mounts(&dir))?;
    in_child(life, || root(&dir))?;
    in_child(life, || tell("unshare", call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0])))?;
    in_child(life, enter)?;
    born_apart()?;
    in_child(life, || tell("setuid", setuid(Uid::from_raw(65534)).map_err(Into::into)))
}

/// Names a refused call.
fn tell<T>(what: &str, result: Result<T, Error>) {
    if let Err(error) = result {
        println!("{what}: {error}");
    }
}

fn call(number: c_long, arguments: [c_long; 5]) -> Result<c_long, Error> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: callers pass numbers, or addresses of memory that lives during the call.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Runs `act` in a child and waits for its end.
fn in_child(life: Deadline, act: impl FnOnce()) -> Result<(), Failure> {
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            waitpid(child, None)?;
            Ok(())
        }
        ForkResult::Child => {
            life.arm();
            act();
            std::process::exit(0)
        }
    }
}

fn signals(target: i32, life: Deadline) -> Result<(), Failure> {
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            kill(child, Signal::SIGTERM)?;
            waitpid(child, None)?;
        }
        ForkResult::Child => {
            life.arm();
            sentry_tests::work::wait_for_the_end();
        }
    }
    kill(Pid::from_raw(target), Signal::SIGCONT)?;
    // With a sender's description that names a timer: what the caller writes there hides nothing.
    let mut information = [0u8; 128];
    information[8..12].copy_from_slice(&(-2i32).to_ne_bytes());
    let signal = Signal::SIGWINCH as c_int;
    let address = information.as_ptr() as c_long;
    tell("queue", call(libc::SYS_rt_sigqueueinfo, [target.into(), signal.into(), address, 0, 0]));
    Ok(())
}

fn access(target: i32, life: Deadline) -> Result<(), Failure> {
    tell("cwd", fs::read_link(format!("/proc/{target}/cwd")));
    in_child(life, || {
        const SEIZE: c_long = 0x4206;
        tell("ptrace", call(libc::SYS_ptrace, [SEIZE, target.into(), 0, 0, 0]));
    })?;
    in_child(life, || {
        // PTRACE_TRACEME.
        tell("traceme", call(libc::SYS_ptrace, [0; 5]));
    })?;
    let mut byte = 0u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 1 };
    // SAFETY: both vectors have one element, the local one a byte of ours. The remote address is no
    // one's: the call is refused after the check for access.
    let _always_refused =
        unsafe { libc::process_vm_readv(target, &raw const here, 1, &raw const there, 1, 0) };
    tell("mem", OpenOptions::new().read(true).write(true).open(format!("/proc/{target}/mem")));
    let descriptor = call(libc::SYS_pidfd_open, [target.into(), 0, 0, 0, 0])?;
    tell("pidfd_getfd", call(libc::SYS_pidfd_getfd, [descriptor, 0, 0, 0, 0]));
    Ok(())
}

fn kernel() {
    // BPF_PROG_GET_NEXT_ID, and a software clock of this process (`size` is that of the first
    // version).
    let mut attribute = [0u32; 32];
    tell("bpf", call(libc::SYS_bpf, [11, attribute.as_mut_ptr() as c_long, 128, 0, 0]));
    attribute = [0; 32];
    (attribute[0], attribute[1]) = (1, 64);
    tell("perf", call(libc::SYS_perf_event_open, [attribute.as_ptr() as c_long, 0, -1, -1, 0]));
}

fn mounts(dir: &Path) {
    let apart = libc::CLONE_NEWNS | libc::CLONE_NEWUTS;
    tell("unshare", call(libc::SYS_unshare, [apart.into(), 0, 0, 0, 0]));
    let none = None::<&PathBuf>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    tell("private", mount(none, "/", none, private, none).map_err(Error::from));
    tell("mount", mount(Some("scratch"), dir, Some("tmpfs"), MsFlags::empty(), none).map_err(Error::from));
    tell("unmount", umount(dir).map_err(Error::from));
    // DIR is no mount now: both are asked for, and refused in the end.
    let Ok(text) = CString::new(dir.as_os_str().as_bytes()) else { return };
    let (here, name): (c_long, c_long) = (libc::AT_FDCWD.into(), text.as_ptr() as c_long);
    tell("move_mount", call(libc::SYS_move_mount, [here, name, here, name, 0]));
    tell("pivot_root", call(libc::SYS_pivot_root, [name, name, 0, 0, 0]));
}

fn root(dir: &Path) {
    tell("chroot", chroot(dir).map_err(Error::from));
}

fn enter() {
    let open = fs::File::open("/proc/self/ns/uts");
    match open {
        Ok(file) => {
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
            let kind = libc::CLONE_NEWUTS;
            tell("setns", call(libc::SYS_setns, [descriptor.into(), kind.into(), 0, 0, 0]));
        }
        Err(error) => tell("namespace", Err::<(), _>(error)),
    }
}

/// A child that is born into a name space of its own.
fn born_apart() -> Result<(), Failure> {
    let flags = libc::CLONE_NEWUTS | libc::SIGCHLD;
    let child = call(libc::SYS_clone, [flags.into(), 0, 0, 0, 0])?;
    if child == 0 {
        // SAFETY: ends the child, which is a copy of this process with one thread.
        unsafe { libc::_exit(0) };
    }
    waitpid(Pid::from_raw(i32::try_from(child)?), None)?;
    Ok(())
}
