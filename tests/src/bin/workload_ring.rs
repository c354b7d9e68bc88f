//! `workload_ring DIR TCP UDP POLLED`: acts through an io_uring: makes DIR/made, renames it to
//! DIR/renamed and removes it, connects to a port and sends a datagram to another. POLLED 1 lets a
//! kernel thread take the requests. All but the network's are forced onto kernel workers. Ends with
//! 77 where this kernel offers no rings.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{
    ffi::CString,
    fs,
    io::Error,
    net::UdpSocket,
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _},
    path::Path,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use nix::libc::{self, c_int, c_long};
use sentry_tests::work::{Arguments, Deadline, Failure};

const ENTRIES: u32 = 8;
const SETUP_SQPOLL: u32 = 2;
/// In `flags` of a request: hand it to a worker.
const ASYNC: u8 = 1 << 4;
const OPENAT: u8 = 18;
const RENAMEAT: u8 = 35;
const UNLINKAT: u8 = 36;
const CONNECT: u8 = 16;
const SENDMSG: u8 = 9;

/// `struct io_uring_sqe`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    opcode: u8,
    flags: u8,
    priority: u16,
    descriptor: i32,
    offset: u64,
    address: u64,
    length: u32,
    call_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

/// `struct io_uring_params`: the offsets of the two queues are at its end.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    submission_entries: u32,
    completion_entries: u32,
    flags: u32,
    poller_cpu: u32,
    poller_idle_ms: u32,
    features: u32,
    queue: u32,
    reserved: [u32; 3],
    submission: Submission,
    completion: Completion,
}

#[repr(C)]
#[derive(Default)]
struct Submission {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user: u64,
}

#[repr(C)]
#[derive(Default)]
struct Completion {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    overflow: u32,
    completed: u32,
    flags: u32,
    reserved: u32,
    user: u64,
}

struct Ring {
    descriptor: c_int,
    polled: bool,
    layout: Parameters,
    queues: *mut u8,
    requests: *mut Request,
}

impl Ring {
    fn new(polled: bool) -> Result<Self, Error> {
        let mut layout = Parameters { poller_idle_ms: 1000, ..Parameters::default() };
        layout.flags = if polled { SETUP_SQPOLL } else { 0 };
        // SAFETY: the parameters live during the call.
        let made = unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, &raw mut layout) };
        let descriptor = c_int::try_from(made).unwrap_or(-1);
        if descriptor < 0 {
            return Err(Error::last_os_error());
        }
        let submission = layout.submission.array + layout.submission_entries * 4;
        let completion = layout.completion.completed + layout.completion_entries * 16;
        // Since 5.4 one mapping holds both queues.
        let queues = map(descriptor, submission.max(completion) as usize, 0)?;
        let requests = map(descriptor, ENTRIES as usize * size_of::<Request>(), 0x1000_0000)?.cast();
        Ok(Self { descriptor, polled, layout, queues, requests })
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the offsets come from the kernel and lie inside the mapping, which lives as long
        // as the process.
        unsafe { &*self.queues.add(offset as usize).cast::<AtomicU32>() }
    }

    /// Submits one request and waits for its result.
    fn perform(&self, what: &str, request: Request) -> Result<(), Failure> {
        let queue = &self.layout.submission;
        let tail = self.word(queue.tail).load(Ordering::Relaxed);
        let slot = tail & self.word(queue.mask).load(Ordering::Relaxed);
        // SAFETY: the slot is below the number of entries; the kernel reads it after the tail
        // moved.
        unsafe { self.requests.add(slot as usize).write(request) };
        self.word(queue.array + slot * 4).store(slot, Ordering::Relaxed);
        self.word(queue.tail).store(tail.wrapping_add(1), Ordering::Release);
        let result = self.wait()?;
        if result < 0 { Err(format!("{what}: {}", Error::from_raw_os_error(-result)).into()) } else { Ok(()) }
    }

    fn wait(&self) -> Result<i32, Error> {
        /// `IORING_ENTER_GETEVENTS`.
        const EVENTS: c_long = 1;
        /// `IORING_ENTER_SQ_WAKEUP`.
        const WAKE: c_long = 2;
        let (submit, flags): (c_long, c_long) = if self.polled { (0, EVENTS | WAKE) } else { (1, EVENTS) };
        // SAFETY: numbers only.
        let entered = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.descriptor,
                submit,
                1 as c_long,
                flags,
                0 as c_long,
                0,
            )
        };
        if entered < 0 {
            return Err(Error::last_os_error());
        }
        let queue = &self.layout.completion;
        let head = self.word(queue.head).load(Ordering::Relaxed);
        while self.word(queue.tail).load(Ordering::Acquire) == head {
            std::thread::yield_now();
        }
        let slot = head & self.word(queue.mask).load(Ordering::Relaxed);
        // Each entry is user data (8 bytes), result, flags.
        let result = self.word(queue.completed + slot * 16 + 8).load(Ordering::Relaxed);
        self.word(queue.head).store(head.wrapping_add(1), Ordering::Release);
        Ok(result.cast_signed())
    }
}

fn map(descriptor: c_int, length: usize, offset: i64) -> Result<*mut u8, Error> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
    // SAFETY: a new mapping.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, descriptor, offset) };
    if address == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(address.cast()) }
}

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let dir = args.path("DIR")?;
    let (tcp, udp) = (args.number("TCP")?, args.number("UDP")?);
    let ring = match Ring::new(args.number::<u8>("POLLED")? == 1) {
        Ok(ring) => ring,
        Err(error) => {
            println!("io_uring: {error}");
            std::process::exit(77);
        }
    };
    files(&ring, &dir)?;
    network(&ring, tcp, udp)
}

fn files(ring: &Ring, dir: &Path) -> Result<(), Failure> {
    let name = |name: &str| CString::new(dir.join(name).as_os_str().as_bytes());
    let (made, renamed) = (name("made")?, name("renamed")?);
    let request = |opcode, path: &CString| Request {
        opcode,
        flags: ASYNC,
        descriptor: libc::AT_FDCWD,
        address: path.as_ptr() as u64,
        ..Request::default()
    };
    let open = Request {
        length: 0o600,
        call_flags: (libc::O_CREAT | libc::O_WRONLY).cast_unsigned(),
        ..request(OPENAT, &made)
    };
    ring.perform("open", open)?;
    let rename = Request {
        length: libc::AT_FDCWD.cast_unsigned(),
        offset: renamed.as_ptr() as u64,
        ..request(RENAMEAT, &made)
    };
    ring.perform("rename", rename)?;
    let start = fs::File::open(dir)?;
    let relative = CString::new("renamed")?;
    let unlink = Request { descriptor: start.as_raw_fd(), ..request(UNLINKAT, &relative) };
    ring.perform("unlink", unlink)
}

fn network(ring: &Ring, tcp: u16, udp: u16) -> Result<(), Failure> {
    let place = |port: u16| libc::sockaddr_in {
        sin_family: 2,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    // SAFETY: numbers only.
    let stream = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    let mut to = place(tcp);
    let length = size_of::<libc::sockaddr_in>();
    let connect = Request {
        opcode: CONNECT,
        descriptor: stream,
        address: (&raw const to) as u64,
        offset: length as u64,
        ..Request::default()
    };
    ring.perform("connect", connect)?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    to = place(udp);
    // SAFETY: all zeroes are a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut to).cast();
    message.msg_namelen = u32::try_from(length)?;
    let send = Request {
        opcode: SENDMSG,
        descriptor: socket.as_raw_fd(),
        address: (&raw const message) as u64,
        length: 1,
        ..Request::default()
    };
    ring.perform("send", send)
}
