//! `workload_race open|exec|connect DIR COUNT [PORT]`: a call COUNT times, with an argument that
//! another thread never stops changing while the kernel reads it. Prints, as JSON, how often each
//! object was really reached, and how often the argument named another one when the call was over.
//!
//! - `open`: DIR/a or DIR/b; what was opened is known by `fstat`.
//! - `exec`: the same two, programs that end with 1 and 2.
//! - `connect`: 127.0.0.1 or 127.0.0.2 at PORT, which is even, or PORT + 1; known by `getpeername`.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::TcpStream,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, PermissionsExt as _},
        },
    },
    path::Path,
    ptr::null,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::Duration,
};

use nix::{
    errno::Errno,
    libc,
    sys::wait::{WaitStatus, waitpid},
    unistd::Pid,
};
use sentry_tests::work::{Arguments, Deadline, Failure};
use serde_json::json;

/// Calls between two pauses, in which the sensor catches up.
const BATCH: u64 = 64;

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let (what, dir, count) = (args.text("WHAT")?, args.path("DIR")?, args.number("COUNT")?);
    let (reached, lies) = match what.as_str() {
        "open" => opens(&dir, count)?,
        "exec" => execs(&dir, count)?,
        "connect" => connects(args.number("PORT")?, count)?,
        _ => return Err(format!("no race {what}").into()),
    };
    println!("{}", json!({ "reached": reached, "lies": lies }));
    Ok(())
}

/// How often each object was reached, by its name here.
type Reached = BTreeMap<String, u64>;

/// Makes the calls while another thread changes the bytes, each between two values. A call returns
/// what it reached, and what the argument names when it is over.
fn race(
    count: u64,
    bytes: &[(&AtomicU8, [u8; 2])],
    mut call: impl FnMut() -> Result<(String, String), Failure>,
) -> Result<(Reached, u64), Failure> {
    let over = AtomicBool::new(false);
    let (mut reached, mut lies) = (Reached::new(), 0);
    std::thread::scope(|scope| -> Result<(), Failure> {
        scope.spawn(|| {
            for turn in (0..).take_while(|_| !over.load(Ordering::Relaxed)) {
                for (index, (byte, values)) in bytes.iter().enumerate() {
                    byte.store(values[turn >> index & 1], Ordering::Relaxed);
                }
            }
        });
        let result = (0..count).try_for_each(|number| {
            let (is, named) = call()?;
            lies += u64::from(is != named);
            *reached.entry(is).or_default() += 1;
            if number % BATCH == 0 {
                std::thread::sleep(Duration::from_millis(4));
            }
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        result
    })?;
    Ok((reached, lies))
}

/// `DIR/a` with its end, as bytes that may change.
fn changing(dir: &Path) -> Vec<AtomicU8> {
    dir.join("a").as_os_str().as_bytes().iter().chain(&[0]).map(|byte| AtomicU8::new(*byte)).collect()
}

fn named(last: &AtomicU8) -> String {
    char::from(last.load(Ordering::Relaxed)).to_string()
}

fn opens(dir: &Path, count: u64) -> Result<(Reached, u64), Failure> {
    let inode = |name: &str| -> Result<u64, Failure> {
        fs::write(dir.join(name), "")?;
        Ok(fs::metadata(dir.join(name))?.ino())
    };
    let (a, b) = (inode("a")?, inode("b")?);
    let path = changing(dir);
    let last = &path[path.len() - 2];
    race(count, &[(last, *b"ab")], || {
        // SAFETY: the path ends with NUL and lives; that its bytes change under the kernel's eyes
        // is the point.
        let fd = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(Errno::last().into());
        }
        // SAFETY: just opened, nobody else has it.
        let inode = unsafe { File::from_raw_fd(fd) }.metadata()?.ino();
        let is = if inode == a {
            "a"
        } else if inode == b {
            "b"
        } else {
            return Err("another file was opened".into());
        };
        Ok((is.to_owned(), named(last)))
    })
}

fn execs(dir: &Path, count: u64) -> Result<(Reached, u64), Failure> {
    for (name, code) in [("a", 1), ("b", 2)] {
        fs::write(dir.join(name), program(code)?)?;
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let path = changing(dir);
    let last = &path[path.len() - 2];
    let mut arguments = [c"raced".as_ptr().cast_mut(), std::ptr::null_mut()];
    race(count, &[(last, *b"ab")], || {
        let mut pid = 0;
        // SAFETY: as with open. The child shares this memory until it executes, so that its path
        // changes too.
        let error = unsafe {
            let arguments = arguments.as_mut_ptr();
            libc::posix_spawn(&raw mut pid, path.as_ptr().cast(), null(), null(), arguments, arguments.add(1))
        };
        if error != 0 {
            return Err(Errno::from_raw(error).into());
        }
        let named = named(last);
        match waitpid(Pid::from_raw(pid), None)? {
            WaitStatus::Exited(_, 1) => Ok(("a".to_owned(), named)),
            WaitStatus::Exited(_, 2) => Ok(("b".to_owned(), named)),
            other => Err(format!("the program ended with {other:?}").into()),
        }
    })
}

/// The smallest program that ends with a code: it loads nothing, so that a hundred thousand of them
/// are soon over.
fn program(code: u8) -> Result<Vec<u8>, Failure> {
    const BASE: u64 = 0x0040_0000;
    const HEADERS: u64 = 64 + 56;
    let (machine, text): (u16, Vec<u8>) = if cfg!(target_arch = "x86_64") {
        // mov edi, code; mov eax, 60 (exit); syscall
        (62, [&[0xbf, code, 0, 0, 0][..], &[0xb8, 60, 0, 0, 0, 0x0f, 0x05]].concat())
    } else if cfg!(target_arch = "aarch64") {
        // mov x0, code; mov x8, 93 (exit); svc 0
        let words = [0xd280_0000 | u32::from(code) << 5, 0xd280_0ba8, 0xd400_0001];
        (183, words.iter().flat_map(|word| word.to_le_bytes()).collect())
    } else {
        return Err("no program for this machine".into());
    };
    let length = HEADERS + u64::try_from(text.len())?;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let (short, word, long) = (
        |value: u16| value.to_le_bytes(),
        |value: u32| value.to_le_bytes(),
        |value: u64| value.to_le_bytes(),
    );
    // An executable of this machine; its start, its one segment, no sections.
    file.extend([short(2), short(machine)].concat());
    file.extend(word(1));
    file.extend([long(BASE + HEADERS), long(64), long(0)].concat());
    file.extend(word(0));
    file.extend([short(64), short(56), short(1), short(64), short(0), short(0)].concat());
    // The segment: loaded, to be read and executed, the whole file.
    file.extend([word(1), word(5)].concat());
    file.extend([long(0), long(BASE), long(BASE), long(length), long(length), long(4096)].concat());
    file.extend(text);
    Ok(file)
}

fn connects(port: u16, count: u64) -> Result<(Reached, u64), Failure> {
    // `struct sockaddr_in`: family, port, address.
    let mut address = [0; 16];
    address[..2].copy_from_slice(&u16::try_from(libc::AF_INET)?.to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let address = address.map(AtomicU8::new);
    let low = port.to_be_bytes()[1];
    race(count, &[(&address[3], [low, low | 1]), (&address[7], [1, 2])], || {
        // SAFETY: no memory is passed; the descriptor is nobody else's. The address lives until the
        // call is over.
        let socket = unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
            if socket < 0 {
                return Err(Errno::last().into());
            }
            let socket = OwnedFd::from_raw_fd(socket);
            if libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), 16) != 0 {
                return Err(Errno::last().into());
            }
            socket
        };
        let at = |index: usize| address[index].load(Ordering::Relaxed);
        let named = format!("127.0.0.{}:{}", at(7), u16::from_be_bytes([at(2), at(3)]));
        let stream = TcpStream::from(socket);
        let is = stream.peer_addr()?.to_string();
        // Nothing stays of the connection, or the ports would run out.
        nix::sys::socket::setsockopt(
            &stream,
            nix::sys::socket::sockopt::Linger,
            &libc::linger { l_onoff: 1, l_linger: 0 },
        )?;
        Ok((is, named))
    })
}
