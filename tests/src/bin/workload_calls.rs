//! `workload_calls DOOR DIR ABSTRACT PORT`: one of each act that shows in a system call's result,
//! in a fixed order, in DIR, through the `native`, `wide` or `compat` door. A unix socket listens
//! at DIR/socket, another at the abstract name.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use nix::{errno::Errno, libc, sys::wait::waitpid, unistd::Pid};
use sentry_tests::{
    door::{Caller, Door, Number},
    work::{Arguments, Deadline, Failure},
};

/// `AT_FDCWD`.
const HERE: usize = -100_i32 as usize;

const fn n(native: i64, compat: u32) -> Number {
    Number { native, compat }
}

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let door = match args.text("DOOR")?.as_str() {
        "native" => Door::Native,
        "wide" => Door::Wide,
        _ => Door::Compat,
    };
    let mut caller = Caller::new(door)?;
    let dir = args.text("DIR")?;
    let place = Place { dir };
    let (fd, directory) = place.names(&mut caller)?;
    place.changes(&mut caller, fd)?;
    place.memory(&mut caller, fd)?;
    place.removals(&mut caller, directory)?;
    place.execs(&mut caller, directory)?;
    sockets(&mut caller, &place.path("socket"), &args.text("ABSTRACT")?, args.number("PORT")?)?;
    processes(&mut caller)?;
    place.kernel(&mut caller)?;
    Ok(())
}

struct Place {
    dir: String,
}

impl Place {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// Makes and renames; returns a file and a directory that stay open.
    fn names(&self, caller: &mut Caller) -> Result<(usize, usize), Failure> {
        let mut path = |name: &str| caller.text(&self.path(name));
        let (a, b, b2, c) = (path("a")?, path("b")?, path("b2")?, path("c")?);
        let (d, pipe, s) = (path("d")?, path("pipe")?, path("s")?);
        let (e, target, empty) = (caller.text("e")?, caller.text("a")?, caller.text("")?);
        let fd = caller.call(n(2, 5), &[a, (libc::O_CREAT | libc::O_RDWR) as usize, 0o644])?;
        caller.call(n(83, 39), &[d, 0o755])?;
        let directory = caller.call(n(257, 295), &[HERE, d, libc::O_DIRECTORY as usize])?;
        caller.call(n(258, 296), &[directory, e, 0o700])?;
        caller.call(n(133, 14), &[pipe, (libc::S_IFIFO | 0o600) as usize, 0])?;
        caller.call(n(88, 83), &[target, s])?;
        caller.call(n(86, 9), &[a, b])?;
        caller.call(n(265, 303), &[fd, empty, HERE, c, libc::AT_EMPTY_PATH as usize])?;
        caller.call(n(82, 38), &[b, b2])?;
        caller.call(n(316, 353), &[HERE, b2, HERE, c, libc::RENAME_EXCHANGE as usize])?;
        Ok((fd, directory))
    }

    fn changes(&self, caller: &mut Caller, fd: usize) -> Result<(), Failure> {
        let (a, copy) = (caller.text(&self.path("a"))?, caller.text(&self.path("copy"))?);
        caller.call(n(76, 92), &[a, 100])?;
        caller.call(n(77, 93), &[fd, 200])?;
        // i386 has a second one, with the length in two registers.
        caller.call(n(76, 193), &[a, 300, 0])?;
        caller.call(n(77, 194), &[fd, 400, 0])?;
        caller.call(n(90, 15), &[a, 0o600])?;
        caller.call(n(91, 94), &[fd, 0o640])?;
        caller.call(n(92, 212), &[a, 1, 2])?;
        caller.call(n(93, 207), &[fd, 3, 4])?;
        let (x, y, value) = (caller.text("trusted.x")?, caller.text("trusted.y")?, caller.text("v")?);
        caller.call(n(188, 226), &[a, x, value, 1, 0])?;
        caller.call(n(190, 228), &[fd, y, value, 1, 0])?;
        caller.call(n(197, 235), &[a, x])?;
        caller.call(n(199, 237), &[fd, y])?;
        // i386 passes each 64-bit number in two registers.
        let room: &[usize] = if caller.is_narrow() { &[fd, 1, 0, 0, 4096, 0] } else { &[fd, 1, 0, 4096] };
        caller.call(n(285, 324), room)?;
        let out = caller.call(n(2, 5), &[copy, (libc::O_CREAT | libc::O_RDWR) as usize, 0o644])?;
        caller.call(n(326, 377), &[fd, 0, out, 0, 100, 0])?;
        caller.call(n(40, 187), &[out, fd, 0, 50])?;
        Ok(())
    }

    fn memory(&self, caller: &mut Caller, fd: usize) -> Result<(), Failure> {
        let (shared, private) = (libc::MAP_SHARED as usize, libc::MAP_PRIVATE as usize);
        let anonymous = private | libc::MAP_ANONYMOUS as usize;
        let (read, write, execute) = (1, 2, 4);
        let mut map = |protection, flags, fd| -> Result<usize, Failure> {
            let arguments = [0, 4096, protection, flags, fd, 0];
            if caller.is_narrow() {
                // A pointer to all of them.
                let block = caller.words(&arguments)?;
                return Ok(caller.call(n(9, 90), &[block])?);
            }
            Ok(caller.call(n(9, 90), &arguments)?)
        };
        map(read | write, shared, fd)?;
        map(read | execute, private, fd)?;
        // Neither writes to the file nor runs it.
        map(read | write, private, fd)?;
        let page = map(read | write, anonymous | libc::MAP_32BIT as usize, usize::MAX)?;
        caller.call(n(10, 125), &[page, 4096, read | execute])?;
        Ok(())
    }

    fn removals(&self, caller: &mut Caller, directory: usize) -> Result<(), Failure> {
        let (b2, e) = (caller.text(&self.path("b2"))?, caller.text("e")?);
        caller.call(n(87, 10), &[b2])?;
        caller.call(n(263, 301), &[directory, e, libc::AT_REMOVEDIR as usize])?;
        // Refused: nothing happened to a file.
        refused(caller.call(n(87, 10), &[b2]), Errno::ENOENT)
    }

    fn execs(&self, caller: &mut Caller, directory: usize) -> Result<(), Failure> {
        let (nothing, none) = (caller.text(&self.path("nothing"))?, caller.text("none")?);
        let list = caller.words(&[nothing, 0])?;
        refused(caller.call(n(59, 11), &[nothing, list, list]), Errno::ENOENT)?;
        refused(caller.call(n(322, 358), &[directory, none, list, list, 0]), Errno::ENOENT)
    }

    fn kernel(&self, caller: &mut Caller) -> Result<(), Failure> {
        // BPF_PROG_GET_NEXT_ID from 0.
        let attributes = caller.put(&[0; 64])?;
        caller.call(n(321, 357), &[11, attributes, 16])?;
        // `struct perf_event_attr`: type 1, size 64, config 3, and a sampling bit that does not
        // exist.
        let mut event = vec![1, 0, 0, 0, 64, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        event.resize(24, 0);
        event.resize(64, 0xff);
        let event = caller.put(&event)?;
        refused(caller.call(n(298, 336), &[event, 0, usize::MAX, usize::MAX, 0]), Errno::EINVAL)?;
        caller.call(n(272, 310), &[(libc::CLONE_NEWNS | libc::CLONE_NEWUTS) as usize])?;
        refused(caller.call(n(308, 346), &[usize::MAX, libc::CLONE_NEWNET as usize]), Errno::EBADF)?;
        caller.call(n(117, 208), &[0, 0, 0])?;
        let (root, d, tmpfs) = (caller.text("/")?, caller.text(&self.path("d"))?, caller.text("tmpfs")?);
        let (none, dir) = (caller.text("none")?, caller.text(&self.dir)?);
        caller.call(n(165, 21), &[none, root, 0, (libc::MS_REC | libc::MS_PRIVATE) as usize, 0])?;
        caller.call(n(165, 21), &[none, d, tmpfs, libc::MS_NOEXEC as usize, 0])?;
        caller.call(n(166, 52), &[d, libc::MNT_DETACH as usize])?;
        refused(caller.call(n(165, 21), &[none, d, none, 0, 0]), Errno::ENODEV)?;
        caller.call(n(161, 61), &[dir])?;
        Ok(())
    }
}

fn sockets(caller: &mut Caller, path: &str, name: &str, port: u16) -> Result<(), Failure> {
    for bytes in [path.as_bytes(), &[b"\0", name.as_bytes()].concat()] {
        let mut address = libc::AF_UNIX.to_ne_bytes()[..2].to_vec();
        address.extend(bytes);
        let at = caller.put(&address)?;
        let fd = socket(caller, libc::AF_UNIX)?;
        socket_call(caller, n(42, 3), &[fd, at, address.len()])?;
    }
    let mut address = libc::AF_INET.to_ne_bytes()[..2].to_vec();
    address.extend(port.to_be_bytes());
    address.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let at = caller.put(&address)?;
    let listener = socket(caller, libc::AF_INET)?;
    socket_call(caller, n(49, 2), &[listener, at, 16])?;
    socket_call(caller, n(50, 4), &[listener, 1])?;
    let client = socket(caller, libc::AF_INET)?;
    socket_call(caller, n(42, 3), &[client, at, 16])?;
    socket_call(caller, n(43, 5), &[listener, 0, 0])?;
    Ok(())
}

fn socket(caller: &mut Caller, family: i32) -> Result<usize, Failure> {
    socket_call(caller, n(41, 1), &[family as usize, libc::SOCK_STREAM as usize, 0])
}

/// i386 has one call for all of them, which takes a pointer to the arguments.
fn socket_call(caller: &mut Caller, number: Number, arguments: &[usize]) -> Result<usize, Failure> {
    const SOCKET_CALL: u32 = 102;
    if caller.is_narrow() {
        let block = caller.words(arguments)?;
        return Ok(caller.call(n(0, SOCKET_CALL), &[number.compat as usize, block])?);
    }
    Ok(caller.call(number, arguments)?)
}

fn processes(caller: &mut Caller) -> Result<(), Failure> {
    // SAFETY: the child only sleeps until it is killed.
    let child = match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: no preconditions.
            unsafe { libc::pause() };
        },
        child => child,
    };
    let target = child as usize;
    let mut result = reach(caller, target);
    // SAFETY: no preconditions; our own child.
    if unsafe { libc::kill(child, libc::SIGKILL) } != 0 {
        result = result.and(Err(Errno::last().into()));
    }
    waitpid(Pid::from_raw(child), None)?;
    result
}

fn reach(caller: &mut Caller, target: usize) -> Result<(), Failure> {
    const SEIZE: usize = 0x4206;
    // The same memory is there in the child.
    let bytes = caller.put(b"a page that both have")?;
    let vector = caller.words(&[bytes, 8])?;
    caller.call(n(310, 347), &[target, vector, 1, vector, 1, 0])?;
    caller.call(n(311, 348), &[target, vector, 1, vector, 1, 0])?;
    let pidfd = caller.call(n(434, 434), &[target, 0])?;
    caller.call(n(438, 438), &[pidfd, 0, 0])?;
    // Nobody has a process with that number.
    let nobody = 0x3fff_ffff;
    refused(caller.call(n(101, 26), &[SEIZE, nobody, 0, 0]), Errno::ESRCH)?;
    caller.call(n(101, 26), &[SEIZE, target, 0, 0])?;
    Ok(())
}

fn refused(result: Result<usize, Errno>, errno: Errno) -> Result<(), Failure> {
    match result {
        Err(error) if error == errno => Ok(()),
        other => Err(format!("expected {errno}, got {other:?}").into()),
    }
}
