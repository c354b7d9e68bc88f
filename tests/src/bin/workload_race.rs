//! `workload_race DIR COUNT`: opens DIR/a or DIR/b COUNT times by one path, whose last byte another thread never stops
//! changing. Prints, as JSON, how often each of the two was really opened (`fstat`), and how often the path named the
//! other one when the call was over.

use std::{
    fs::{self, File},
    os::{fd::FromRawFd as _, unix::ffi::OsStrExt as _, unix::fs::MetadataExt as _},
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::Duration,
};

use nix::{errno::Errno, libc};
use sentry_tests::work::{Arguments, Deadline, Failure};
use serde_json::json;

/// Opens between two pauses, in which the sensor catches up.
const BATCH: u64 = 64;

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let dir = args.path("DIR")?;
    let count: u64 = args.number("COUNT")?;
    let inode = |name: &str| -> Result<u64, Failure> {
        fs::write(dir.join(name), "")?;
        Ok(fs::metadata(dir.join(name))?.ino())
    };
    let (a, b) = (inode("a")?, inode("b")?);
    let path: Vec<AtomicU8> =
        dir.join("a").as_os_str().as_bytes().iter().chain(&[0]).map(|byte| AtomicU8::new(*byte)).collect();
    let last = &path[path.len() - 2];
    let over = AtomicBool::new(false);
    let (mut opened, mut lies) = ([0_u64; 2], 0_u64);
    std::thread::scope(|scope| -> Result<(), Failure> {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                last.store(b'b', Ordering::Relaxed);
                last.store(b'a', Ordering::Relaxed);
            }
        });
        let result = (0..count).try_for_each(|number| {
            let file = open(&path)?;
            let named = if last.load(Ordering::Relaxed) == b'a' { a } else { b };
            let inode = file.metadata()?.ino();
            lies += u64::from(named != inode);
            opened[usize::from(inode == b)] += 1;
            if number % BATCH == 0 {
                std::thread::sleep(Duration::from_millis(4));
            }
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        result
    })?;
    println!(
        "{}",
        json!({ "a": { "inode": a, "opens": opened[0] }, "b": { "inode": b, "opens": opened[1] }, "lies": lies })
    );
    Ok(())
}

fn open(path: &[AtomicU8]) -> Result<File, Failure> {
    // SAFETY: the path ends with NUL and lives; that its bytes change under the kernel's eyes is the point.
    let fd = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Errno::last().into());
    }
    // SAFETY: just opened, nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}
