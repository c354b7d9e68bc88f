//! Other processes, privileges, namespaces, and the kernel's own interfaces.

use std::{os::fd::RawFd, path::Path};

use nix::{
    mount::{MsFlags, mount, umount},
    sched::{CloneFlags, unshare},
    sys::{ptrace, signal::Signal, wait::waitpid},
    unistd::{Gid, Pid, Uid, setgid, setuid},
};

use super::{
    Table, Words,
    raw::{self, in_child},
};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("signal", signal),
    ("signal-child", signal_child),
    ("trace", trace),
    ("read-memory", read_memory),
    ("write-memory", write_memory),
    ("memory-file-of", memory_file_of),
    ("take-descriptor", take_descriptor),
    ("become-user", become_user),
    ("unshare", unshare_bits),
    ("mount-tmpfs", mount_tmpfs),
    ("chroot", chroot),
    ("watch", watch),
    ("bpf", bpf),
    ("perf-open", perf_open),
    ("call", any_call),
    ("load-module", load_module),
    ("open-32-bit", open_32_bit),
];

/// `PID SIGNAL`, as numbers.
fn signal(words: &mut Words<'_>) -> Result<(), Failure> {
    let (pid, number): (i32, i32) = (words.number()?, words.number()?);
    Ok(nix::sys::signal::kill(Pid::from_raw(pid), Signal::try_from(number)?)?)
}

/// `SIGNAL`: ends a child by it.
fn signal_child(words: &mut Words<'_>) -> Result<(), Failure> {
    let number: i32 = words.number()?;
    let child = std::process::Command::new("/proc/self/exe").arg("sleep").spawn()?;
    let child = Pid::from_raw(i32::try_from(child.id())?);
    nix::sys::signal::kill(child, Signal::try_from(number)?)?;
    waitpid(child, None)?;
    Ok(())
}

/// `PID`.
fn trace(words: &mut Words<'_>) -> Result<(), Failure> {
    let pid = Pid::from_raw(words.number()?);
    ptrace::seize(pid, ptrace::Options::empty())?;
    ptrace::interrupt(pid)?;
    waitpid(pid, None)?;
    Ok(ptrace::detach(pid, None)?)
}

/// `PID`: asks for a byte at address 0, which the kernel checks before it looks.
fn read_memory(words: &mut Words<'_>) -> Result<(), Failure> {
    reach(libc::SYS_process_vm_readv, words)
}

/// `PID`: the same, to write there.
fn write_memory(words: &mut Words<'_>) -> Result<(), Failure> {
    reach(libc::SYS_process_vm_writev, words)
}

/// `PID`: its memory, as a file.
fn memory_file_of(words: &mut Words<'_>) -> Result<(), Failure> {
    let pid: u32 = words.number()?;
    drop(std::fs::File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?);
    Ok(())
}

fn reach(number: libc::c_long, words: &mut Words<'_>) -> Result<(), Failure> {
    let pid: usize = words.number()?;
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 1 };
    let args = [pid, (&raw const local) as usize, 1, (&raw const remote) as usize, 1, 0];
    // SAFETY: the byte and both lists live until the call is over; the other address is the other
    // process's.
    match unsafe { raw::call(number, &args) } {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// `PID`: its standard input.
fn take_descriptor(words: &mut Words<'_>) -> Result<(), Failure> {
    // SAFETY: no memory is passed.
    unsafe {
        let process = raw::call(libc::SYS_pidfd_open, &[words.number()?, 0])?;
        drop(raw::owned(raw::call(libc::SYS_pidfd_getfd, &[process, 0, 0])?)?);
        drop(raw::owned(process)?);
    }
    Ok(())
}

/// `UID`, and the same for the group.
fn become_user(words: &mut Words<'_>) -> Result<(), Failure> {
    let id = words.number()?;
    in_child(|| {
        setgid(Gid::from_raw(id))?;
        Ok(setuid(Uid::from_raw(id))?)
    })
}

/// `BITS`: `CLONE_NEW*`, as a number.
fn unshare_bits(words: &mut Words<'_>) -> Result<(), Failure> {
    let bits = CloneFlags::from_bits_retain(words.number()?);
    in_child(|| Ok(unshare(bits)?))
}

/// `DIR`: mounted and unmounted, in a mount namespace of its own.
fn mount_tmpfs(words: &mut Words<'_>) -> Result<(), Failure> {
    let dir = words.path()?;
    in_child(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let nothing: Option<&Path> = None;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
        mount(Some("scene"), &dir, Some("tmpfs"), MsFlags::empty(), nothing)?;
        Ok(umount(&dir)?)
    })
}

/// `DIR`.
fn chroot(words: &mut Words<'_>) -> Result<(), Failure> {
    let dir = words.path()?;
    in_child(|| Ok(nix::unistd::chroot(&dir)?))
}

/// `FILE MARK MASK`, as numbers: asks for what others do there (`FAN_MARK_*`, `FAN_*`), and does
/// not wait for it.
fn watch(words: &mut Words<'_>) -> Result<(), Failure> {
    const MAY_ANSWER: usize = 4;
    const ADD: usize = 1;
    let (path, mark, mask): (_, usize, usize) = (words.c()?, words.number()?, words.number()?);
    // SAFETY: the path lives until the call is over.
    unsafe {
        let group = raw::owned(raw::call(libc::SYS_fanotify_init, &[MAY_ANSWER, 0])?)?;
        let number = raw::number(std::os::fd::AsRawFd::as_raw_fd(&group));
        raw::call(libc::SYS_fanotify_mark, &[number, ADD | mark, mask, raw::HERE, path.as_ptr() as usize])?;
    }
    Ok(())
}

/// `COMMAND`: one that gives no descriptor, with zeroes for attributes; its result does not
/// matter.
fn bpf(words: &mut Words<'_>) -> Result<(), Failure> {
    let attributes = [0_u64; 16];
    let args = [words.number()?, attributes.as_ptr() as usize, size_of_val(&attributes)];
    // SAFETY: the attributes live until the call is over and hold no pointers.
    match unsafe { raw::call(libc::SYS_bpf, &args) } {
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A count of time on a CPU, which needs no hardware.
fn perf_open(_words: &mut Words<'_>) -> Result<(), Failure> {
    const SOFTWARE: u32 = 1;
    let mut attributes = [0_u32; 16];
    attributes[0] = SOFTWARE;
    attributes[1] = u32::try_from(size_of_val(&attributes))?;
    let any: RawFd = -1;
    let args = [attributes.as_ptr() as usize, 0, raw::number(any), raw::number(any), 0];
    // SAFETY: the attributes live until the call is over.
    drop(raw::owned(unsafe { raw::call(libc::SYS_perf_event_open, &args) }?)?);
    Ok(())
}

/// `NUMBER ARGUMENT…`: a system call, whether it succeeds or not.
fn any_call(words: &mut Words<'_>) -> Result<(), Failure> {
    let number: libc::c_long = words.number()?;
    let mut args = Vec::new();
    while words.has_more() {
        let argument: i16 = words.number()?;
        args.push(argument as isize as usize);
    }
    // SAFETY: no process has memory below 64 KiB or at the upper end, so that none is reached.
    match unsafe { raw::call(number, &args) } {
        Ok(_) | Err(_) => Ok(()),
    }
}

/// `FILE`: not a module, so that the kernel refuses it.
fn load_module(words: &mut Words<'_>) -> Result<(), Failure> {
    use std::os::fd::AsRawFd as _;
    let file = std::fs::File::open(words.path()?)?;
    let args = [raw::number(file.as_raw_fd()), c"".as_ptr() as usize, 0];
    // SAFETY: the parameters are a constant.
    match unsafe { raw::call(libc::SYS_finit_module, &args) } {
        Ok(_) => Err("it was taken".into()),
        Err(_refused) => Ok(()),
    }
}

/// `FILE`: by the 32-bit call gate, as a 32-bit program would.
#[cfg(target_arch = "x86_64")]
fn open_32_bit(words: &mut Words<'_>) -> Result<(), Failure> {
    const OPEN: i64 = 5;
    let path = words.c()?;
    let length = path.as_bytes_with_nul().len();
    // SAFETY: the kernel chooses a place in the first 2 GiB, which a 32-bit address reaches.
    let place = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if place == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error().into());
    }
    let mut result = OPEN;
    // SAFETY: the page is as long as the path; the gate changes rax, and r8 to r11 on older
    // kernels. rbx is the compiler's, so that it is put back.
    unsafe {
        std::ptr::copy_nonoverlapping(path.as_ptr(), place.cast(), length);
        std::arch::asm!(
            "xchg rbx, {path}", "int 0x80", "xchg rbx, {path}",
            path = inout(reg) place => _, inout("rax") result,
            in("rcx") 0, in("rdx") 0, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
        libc::munmap(place, length);
    }
    match usize::try_from(result) {
        Ok(descriptor) => {
            drop(raw::owned(descriptor)?);
            Ok(())
        }
        Err(_negative) => Err(format!("the call gave {result}").into()),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn open_32_bit(_words: &mut Words<'_>) -> Result<(), Failure> {
    Err("there is no such call gate here".into())
}
