//! Control groups of tests, and those a sensor left behind.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::sys::signal::Signal;

use crate::{procs, wait};

/// Where cgroup v2 is mounted.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    line.split(' ').nth(4).unwrap().into()
}

/// The group of a process, below the mount.
///
/// # Panics
/// When there is no such process, or it is in none.
#[must_use]
pub fn of(pid: u64) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap().to_owned()
}

/// A group of one test; its members are killed and it is removed when the value goes.
pub struct TestCgroup {
    path: PathBuf,
}

impl TestCgroup {
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = mount().join(format!("sentry-it-{}-{number}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As events show it: from the root of the hierarchy.
    ///
    /// # Panics
    /// Never: it is below the mount.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("/{}", self.path.strip_prefix(mount()).unwrap().display())
    }

    /// # Panics
    /// When the kernel refuses.
    pub fn add(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// Live processes directly in it.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn procs(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).unwrap();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Whether the kernel calls all of it frozen.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn frozen(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events")).unwrap().contains("frozen 1")
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Kills what is in the group and removes it with all below. What cannot be removed is printed.
pub fn remove(path: &Path) {
    if !path.exists() {
        return;
    }
    fs::write(path.join("cgroup.kill"), "1").ok();
    fs::write(path.join("cgroup.freeze"), "0").ok();
    let end = std::time::Instant::now() + wait::patience();
    while let Err(error) = remove_tree(path) {
        if std::time::Instant::now() >= end {
            eprintln!("cgroup {} stays: {error}", path.display());
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn remove_tree(path: &Path) -> std::io::Result<()> {
    // `cgroup.kill` does not reach those whose first thread has ended.
    let members = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    members.lines().filter_map(|pid| pid.parse().ok()).for_each(|pid| procs::signal(pid, Signal::SIGKILL));
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Groups that are there of runs whose ids stand in a ledger.
#[must_use]
pub fn of_runs(ledger: &Path) -> Vec<PathBuf> {
    let Ok(segments) = fs::read_dir(ledger) else { return Vec::new() };
    let text: String = segments.flatten().filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    let groups = fs::read_dir(mount().join("agentsentry")).into_iter().flatten().flatten();
    let own = groups.filter(|group| text.contains(&*group.file_name().to_string_lossy()));
    own.map(|group| group.path()).collect()
}

/// Removes the groups of runs whose ids stand in a ledger.
pub fn remove_runs_of(ledger: &Path) {
    of_runs(ledger).iter().for_each(|group| remove(group));
}
