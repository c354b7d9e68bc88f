//! `io_uring`: acts without a system call of their own.

use std::{
    ffi::CString,
    io::{Error, Result as IoResult},
    net::SocketAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::atomic::{AtomicU32, Ordering, fence},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrLike as _, SockaddrStorage, socket};

use super::{Table, Words, raw};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("ring-open", open),
    ("ring-open-polled", open_polled),
    ("ring-unlink", unlink),
    ("ring-rename", rename),
    ("ring-mkdir", mkdir),
    ("ring-link", link),
    ("ring-symlink", symlink),
    ("ring-connect", connect),
    ("ring-connect-polled", connect_polled),
    ("ring-socket", make_socket),
    ("ring-sendmsg", send),
];

const SENDMSG: u8 = 9;
const CONNECT: u8 = 16;
const OPENAT: u8 = 18;
const RENAMEAT: u8 = 35;
const UNLINKAT: u8 = 36;
const MKDIRAT: u8 = 37;
const SYMLINKAT: u8 = 38;
const LINKAT: u8 = 39;
const SOCKET: u8 = 45;

/// A kernel thread takes the entries, without a call.
const POLLED: u32 = 2;

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    /// Offsets of: head, tail, mask, count, flags, dropped, array.
    sq: [u32; 10],
    /// Offsets of: head, tail, mask, count, overflow, entries.
    cq: [u32; 10],
}

/// `struct io_uring_sqe`.
#[repr(C)]
#[derive(Default)]
struct Entry {
    opcode: u8,
    flags: u8,
    priority: u16,
    descriptor: i32,
    offset: u64,
    address: u64,
    length: u32,
    op_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

/// A ring for one entry.
struct Ring {
    descriptor: OwnedFd,
    rings: *mut u8,
    entries: *mut Entry,
    parameters: Parameters,
}

const BYTES: usize = 4096;

impl Ring {
    fn new(flags: u32) -> IoResult<Self> {
        let mut parameters = Parameters { flags, sq_thread_idle: 1000, ..Parameters::default() };
        let args = [1, (&raw mut parameters) as usize];
        // SAFETY: the parameters live until the call is over.
        let descriptor = raw::owned(unsafe { raw::call(libc::SYS_io_uring_setup, &args) }?)?;
        let map = |offset: libc::off_t| {
            let (protection, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
            // SAFETY: the kernel chooses the place.
            let place = unsafe {
                libc::mmap(std::ptr::null_mut(), BYTES, protection, flags, descriptor.as_raw_fd(), offset)
            };
            if place == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(place.cast::<u8>()) }
        };
        // Both rings are in one mapping since Linux 5.4; for one entry a page is enough.
        let (rings, entries) = (map(0)?, map(0x1000_0000)?.cast());
        Ok(Self { descriptor, rings, entries, parameters })
    }

    fn at(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the kernel gave the offset, which is below the size of the mapping; it lives as
        // long as the ring.
        unsafe { &*self.rings.add(offset as usize).cast::<AtomicU32>() }
    }

    /// One operation, to its end; its result.
    fn run(&self, entry: Entry) -> IoResult<usize> {
        // SAFETY: the mapping has room for the one entry, and the kernel does not know of it
        // yet.
        unsafe { self.entries.write(entry) };
        self.at(self.parameters.sq[6]).store(0, Ordering::Relaxed);
        let tail = self.at(self.parameters.sq[1]);
        tail.store(tail.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        fence(Ordering::SeqCst);
        // Wait for one; wake the kernel's thread, if there is one.
        let flags = if self.parameters.flags & POLLED == 0 { 1 } else { 3 };
        let number = raw::number(self.descriptor.as_raw_fd());
        // SAFETY: what the entry points to is the caller's, who waits here.
        unsafe { raw::call(libc::SYS_io_uring_enter, &[number, 1, 1, flags, 0, 0]) }?;
        let head = self.at(self.parameters.cq[0]);
        if head.load(Ordering::Relaxed) == self.at(self.parameters.cq[1]).load(Ordering::Acquire) {
            return Err(Error::other("nothing came back"));
        }
        let index = head.load(Ordering::Relaxed) & self.at(self.parameters.cq[2]).load(Ordering::Relaxed);
        // The user data, then the result.
        let result = self.at(self.parameters.cq[5] + index * 16 + 8).load(Ordering::Relaxed).cast_signed();
        head.store(head.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        usize::try_from(result).map_err(|_negative| Error::from_raw_os_error(-result))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: both were mapped with this size, and nothing points to them any more.
        unsafe {
            libc::munmap(self.rings.cast(), BYTES);
            libc::munmap(self.entries.cast(), BYTES);
        }
    }
}

/// An operation on a path, from the working directory.
fn on(opcode: u8, path: &CString) -> Entry {
    Entry {
        opcode,
        descriptor: libc::AT_FDCWD,
        address: path.as_ptr() as u64,
        user_data: 7,
        ..Entry::default()
    }
}

fn open_by(ring: &Ring, words: &mut Words<'_>) -> Result<(), Failure> {
    let path = words.c()?;
    drop(raw::owned(ring.run(on(OPENAT, &path))?)?);
    Ok(())
}

fn open(words: &mut Words<'_>) -> Result<(), Failure> {
    open_by(&Ring::new(0)?, words)
}

fn open_polled(words: &mut Words<'_>) -> Result<(), Failure> {
    open_by(&Ring::new(POLLED)?, words)
}

fn unlink(words: &mut Words<'_>) -> Result<(), Failure> {
    Ring::new(0)?.run(on(UNLINKAT, &words.c()?))?;
    Ok(())
}

fn mkdir(words: &mut Words<'_>) -> Result<(), Failure> {
    Ring::new(0)?.run(Entry { length: 0o700, ..on(MKDIRAT, &words.c()?) })?;
    Ok(())
}

/// Two paths, of which the other one is relative to the working directory too.
fn both(opcode: u8, words: &mut Words<'_>) -> Result<(), Failure> {
    let (one, other) = (words.c()?, words.c()?);
    // The second directory: AT_FDCWD in 32 bits.
    let length = libc::AT_FDCWD.cast_unsigned();
    Ring::new(0)?.run(Entry { offset: other.as_ptr() as u64, length, ..on(opcode, &one) })?;
    Ok(())
}

fn rename(words: &mut Words<'_>) -> Result<(), Failure> {
    both(RENAMEAT, words)
}

/// `FILE NEW`.
fn link(words: &mut Words<'_>) -> Result<(), Failure> {
    both(LINKAT, words)
}

/// `TARGET NEW`.
fn symlink(words: &mut Words<'_>) -> Result<(), Failure> {
    let (target, new) = (words.c()?, words.c()?);
    Ring::new(0)?.run(Entry { offset: new.as_ptr() as u64, ..on(SYMLINKAT, &target) })?;
    Ok(())
}

/// `IP PORT`.
fn connect(words: &mut Words<'_>) -> Result<(), Failure> {
    connect_by(&Ring::new(0)?, words)
}

/// `IP PORT`.
fn connect_polled(words: &mut Words<'_>) -> Result<(), Failure> {
    connect_by(&Ring::new(POLLED)?, words)
}

fn connect_by(ring: &Ring, words: &mut Words<'_>) -> Result<(), Failure> {
    let to = SockaddrStorage::from(SocketAddr::new(words.number()?, words.number()?));
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?;
    let entry = Entry {
        opcode: CONNECT,
        descriptor: socket.as_raw_fd(),
        offset: u64::from(to.len()),
        address: to.as_ptr() as u64,
        user_data: 7,
        ..Entry::default()
    };
    ring.run(entry)?;
    Ok(())
}

/// `FAMILY TYPE PROTOCOL`, as numbers.
fn make_socket(words: &mut Words<'_>) -> Result<(), Failure> {
    let entry = Entry {
        opcode: SOCKET,
        descriptor: words.number()?,
        offset: words.number()?,
        length: words.number()?,
        user_data: 7,
        ..Entry::default()
    };
    drop(raw::owned(Ring::new(0)?.run(entry)?)?);
    Ok(())
}

/// `IP PORT`: a datagram.
fn send(words: &mut Words<'_>) -> Result<(), Failure> {
    let to = SockaddrStorage::from(SocketAddr::new(words.number()?, words.number()?));
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    let mut bytes = *b"by a ring";
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: zeroes are a message without parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let entry = Entry {
        opcode: SENDMSG,
        descriptor: socket.as_raw_fd(),
        address: (&raw const message) as u64,
        length: 1,
        user_data: 7,
        ..Entry::default()
    };
    Ring::new(0)?.run(entry)?;
    Ok(())
}
