//! Processes as procfs shows them. Everything a test starts carries a mark in its environment,
//! which its children inherit however they hide.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The variable that holds the mark.
pub const MARK: &str = "AGENTSENTRY_TEST_MARK";

/// A mark that no one else has.
#[must_use]
pub fn new_mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Live processes that carry the mark, sorted. A zombie has no environment any more; where the
/// first thread of a process has ended, the others have it.
#[must_use]
pub fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let carries = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let mut found: Vec<u32> = all()
        .filter(|pid| {
            let process = PathBuf::from(format!("/proc/{pid}"));
            let threads = || fs::read_dir(process.join("task")).into_iter().flatten().flatten();
            carries(&process) || state(*pid) == Some('Z') && threads().any(|thread| carries(&thread.path()))
        })
        .collect();
    found.sort_unstable();
    found
}

/// The id of a process that has ended.
///
/// # Panics
/// When none can be started.
#[must_use]
pub fn ended() -> u32 {
    let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
    let _code = child.wait().unwrap();
    child.id()
}

/// Live processes of a user.
#[must_use]
pub fn of_user(uid: u32) -> Vec<u32> {
    all()
        .filter(|pid| {
            fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == uid) && is_alive(*pid)
        })
        .collect()
}

/// Nice value of every thread of a process, by the thread's name.
///
/// # Panics
/// When the process has ended.
#[must_use]
pub fn nice_by_thread(pid: u32) -> BTreeMap<String, i64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    // A thread may end meanwhile.
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok())
        .map(|stat| {
            let (name, rest) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).unwrap();
            // proc_pid_stat(5): nice is field 19, the state after the name is field 3.
            let nice = rest.split_whitespace().nth(16).unwrap();
            (name.to_owned(), nice.parse().unwrap())
        })
        .collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether the process exists and is no zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The letter that `ps` shows.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.get(text.rfind(')')? + 1..)?.trim_start().chars().next()
}

/// How long ago the process was started.
#[must_use]
pub fn age(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the start is field 22, the state after the name is field 3; in hundredths
    // of a second since the boot.
    let start: u64 = text.get(text.rfind(')')? + 1..)?.split_whitespace().nth(19)?.parse().ok()?;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
    Some(Duration::from(now).saturating_sub(Duration::from_millis(start * 10)))
}

/// The v2 group of a process, from the root of the hierarchy.
#[must_use]
pub fn cgroup(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

pub fn signal(pid: u32, signal: Signal) {
    // Whoever has ended needs none.
    kill(pid_of(pid), signal).ok();
}

#[must_use]
pub fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

/// Ends every process that carries the mark.
pub fn kill_marked(mark: &str) {
    for pid in marked(mark) {
        signal(pid, Signal::SIGKILL);
    }
}
