//! One process seen through procfs and held by a pidfd.

use std::{fs, os::fd::OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{Pid, PidfdFlags, Signal},
};
use sentry_detect::run::{Holds, ProcessKey};

/// procfs counts start times in ticks of `USER_HZ`, which is 100 on every architecture Linux runs
/// on today.
const TICK_NS: u64 = 10_000_000;

/// Flag of kernel threads in `/proc/PID/stat` (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub state: char,
    pub flags: u64,
    /// Start of the process since boot, suspended time included, in ticks.
    pub start_ticks: u64,
}

impl Stat {
    /// Fields are counted from the last `)`, because a process chooses the name in the brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let flags = fields.nth(5)?.parse().ok()?;
        let start_ticks = fields.nth(12)?.parse().ok()?;
        Some(Self { state, flags, start_ticks })
    }

    fn read(path: &str) -> Option<Self> {
        Self::parse(&String::from_utf8_lossy(&fs::read(path).ok()?))
    }

    pub fn is_kernel_thread(self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }

    /// Zombie or dead.
    fn is_dead(self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// A live process whose identity was checked after its pidfd was opened.
#[derive(Debug)]
pub struct Held {
    pub key: ProcessKey,
    pub stat: Stat,
    fd: OwnedFd,
}

impl Held {
    /// `None` if the process has ended, even if another has its id now.
    pub fn open(key: ProcessKey) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(key.tgid).ok()?)?;
        let fd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let stat = alive(key)?;
        Some(Self { key, stat, fd })
    }

    /// A process that has ended meanwhile needs no signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        match rustix::process::pidfd_send_signal(&self.fd, signal) {
            Err(Errno::SRCH) => Ok(()),
            other => other,
        }
    }
}

/// The status of the leader, if the process that `key` names is alive.
pub fn alive(key: ProcessKey) -> Option<Stat> {
    let stat = Stat::read(&format!("/proc/{}/stat", key.tgid))?;
    if !same_start(stat.start_ticks, key.start_boot_ns) {
        return None;
    }
    // A leader that has called pthread_exit is a zombie while its other threads work on.
    if stat.is_dead() && threads(key.tgid).iter().all(|thread| thread.is_dead()) {
        return None;
    }
    Some(stat)
}

/// Whether the process has certainly ended: its id is free, belongs to another process, or to a
/// zombie without threads. False if that cannot be determined. Asks by pidfd, because procfs can
/// hide processes, and shows a leader as a zombie while another of its threads executes a program
/// in its place.
#[must_use]
pub fn is_gone(key: ProcessKey) -> bool {
    let Some(pid) = i32::try_from(key.tgid).ok().and_then(Pid::from_raw) else { return true };
    let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(error) => return error == Errno::SRCH,
    };
    let now = Stat::read(&format!("/proc/{}/stat", key.tgid));
    if now.is_some_and(|stat| !same_start(stat.start_ticks, key.start_boot_ns)) {
        return true;
    }
    // Readable once the process has ended and none of its threads is left (5.3+).
    let mut ended = [PollFd::new(&fd, PollFlags::IN)];
    rustix::event::poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// What a process holds: resident memory, threads, and open descriptors where the kernel counts
/// them (6.2). Waits for nobody.
#[must_use]
pub fn holds(pid: u32) -> Holds {
    let Ok(stat) = i32::try_from(pid)
        .map_err(|_| procfs::ProcError::NotFound(None))
        .and_then(procfs::process::Process::new)
        .and_then(|process| process.stat())
    else {
        return Holds::default();
    };
    let descriptors = fs::metadata(format!("/proc/{pid}/fd")).ok().map(|directory| directory.len());
    Holds {
        memory_bytes: Some(stat.rss.saturating_mul(procfs::page_size())),
        threads: u64::try_from(stat.num_threads).ok(),
        descriptors: descriptors.filter(|count| *count > 0),
        ..Holds::default()
    }
}

/// Bytes that a process has read and written; 0 where it has ended or may not be asked.
#[must_use]
pub fn moved_bytes(pid: u32) -> u64 {
    let Ok(pid) = i32::try_from(pid) else { return 0 };
    let io = procfs::process::Process::new(pid).and_then(|process| process.io());
    io.map_or(0, |io| io.rchar.saturating_add(io.wchar))
}

/// Whether all live threads of the process are stopped; true if it has ended.
pub fn stopped(key: ProcessKey) -> bool {
    alive(key).is_none() || threads(key.tgid).iter().all(|thread| thread.is_dead() || thread.is_stopped())
}

/// procfs rounds the start time down to whole ticks.
fn same_start(ticks: u64, start_boot_ns: u64) -> bool {
    ticks == start_boot_ns / TICK_NS
}

fn threads(tgid: u32) -> Vec<Stat> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{tgid}/task")) else { return Vec::new() };
    tasks.filter_map(|task| Stat::read(&format!("{}/stat", task.ok()?.path().display()))).collect()
}

/// The key of a living process, from procfs; exact to one tick.
#[must_use]
pub fn key_of(pid: u32) -> Option<ProcessKey> {
    let stat = Stat::read(&format!("/proc/{pid}/stat"))?;
    Some(ProcessKey { tgid: pid, start_boot_ns: stat.start_ticks * TICK_NS })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) S 1) x) R 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 9 9";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat, Stat { state: 'R', flags: 4_194_304, start_ticks: 777 });
        assert!(!stat.is_kernel_thread());
        for cut in 0..text.len() {
            // Total on every prefix.
            let _partial: Option<Stat> = Stat::parse(&text[..cut]);
        }
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("1 (x"), None);
    }

    #[test]
    fn start_times_match_to_the_tick() {
        assert!(same_start(777, 7_770_000_001));
        assert!(same_start(777, 7_779_999_999));
        assert!(!same_start(777, 7_780_000_000));
        assert!(!same_start(777, 7_769_999_999));
    }

    #[test]
    fn a_process_is_gone_when_it_is_a_zombie_and_when_it_is_none() {
        let mut child =
            std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let key = key_of(child.id()).unwrap();
        assert!(!is_gone(key));
        drop(child.stdin.take());
        // Waits for the end but keeps the zombie.
        let id = rustix::process::WaitId::Pid(Pid::from_child(&child));
        let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        let _status = rustix::process::waitid(id, options).unwrap();
        assert!(key_of(child.id()).is_some());
        assert!(is_gone(key));
        let _code = child.wait().unwrap();
        assert!(is_gone(key));
    }

    #[test]
    fn the_own_process_is_alive_and_kthreadd_is_a_kernel_thread() {
        let own = key_of(std::process::id()).unwrap();
        assert!(alive(own).is_some());
        assert!(alive(ProcessKey { start_boot_ns: own.start_boot_ns + 1_000_000_000, ..own }).is_none());
        assert!(!is_gone(own));
        assert!(is_gone(ProcessKey { start_boot_ns: own.start_boot_ns + 1_000_000_000, ..own }));
        if let Some(kthreadd) = key_of(2) {
            assert!(alive(kthreadd).unwrap().is_kernel_thread());
        }
    }

    #[test]
    fn what_a_process_writes_is_counted() {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().unwrap();
        let before = moved_bytes(std::process::id());
        file.write_all(&[1; 300_000]).unwrap();
        assert!(moved_bytes(std::process::id()) >= before + 300_000);
        assert_eq!(moved_bytes(u32::MAX), 0);
    }

    #[test]
    fn this_process_holds_memory_and_a_thread() {
        let holds = holds(std::process::id());
        assert!(holds.memory_bytes.is_some_and(|bytes| bytes > 100_000), "{holds:?}");
        assert!(holds.threads.is_some_and(|threads| threads >= 1), "{holds:?}");
        assert_eq!(super::holds(u32::MAX), Holds::default());
    }
}
