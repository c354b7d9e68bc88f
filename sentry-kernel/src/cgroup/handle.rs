//! One control group, held by its open directory.

use std::{
    collections::BTreeSet,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::{fs::AtFlags, io::Errno};
use sentry_detect::run::Holds;

use super::{CgroupError, CgroupEvents, CgroupRoot, files, parse};

/// A group below the root of the hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    root: CgroupRoot,
    dir: OwnedFd,
    below: PathBuf,
    id: u64,
}

/// CPU time used, and time spent waiting for a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub usage_usec: u64,
    /// Time in which at least one ready task of the subtree was waiting for a CPU.
    pub wait_usec: u64,
}

impl Cgroup {
    /// Takes the open directory `dir` of the group at `below` under the mount.
    pub(super) fn new(root: CgroupRoot, dir: OwnedFd, below: PathBuf) -> Result<Self, CgroupError> {
        let path = root.mount().join(&below);
        let id = rustix::fs::fstat(&dir)
            .map_err(|error| CgroupError::io("read the inode of cgroup", &path, error))?
            .st_ino;
        if id == root.id() {
            return Err(CgroupError::IsRoot { path });
        }
        let cgroup = Self { root, dir, below, id };
        let kind = cgroup.read("cgroup.type")?;
        match kind.trim() {
            "domain" | "domain threaded" => Ok(cgroup),
            other => Err(CgroupError::NotDomain { path, kind: other.into() }),
        }
    }

    /// This group under the name of another.
    pub(super) fn renamed(self, below: &Path, id: u64) -> Self {
        Self { below: below.to_path_buf(), id, ..self }
    }

    /// The kernel's number of this group: what BPF programs report as `cgroup_id`.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it was when it was opened, below the mount, without a leading slash.
    #[must_use]
    pub fn below(&self) -> &Path {
        &self.below
    }

    /// Where it was when it was opened.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.mount().join(&self.below)
    }

    #[must_use]
    pub fn root(&self) -> &CgroupRoot {
        &self.root
    }

    /// Processes with a live thread in the subtree, sorted.
    ///
    /// `cgroup.procs` alone is not enough: it names a process by its first thread, which can end
    /// and then stays behind while the others move on; and a threaded group has no such list. So
    /// this looks up the process of every thread that is not itself a first thread.
    ///
    /// # Errors
    /// Where a file cannot be read. A child group that is removed meanwhile is skipped.
    pub fn procs(&self) -> Result<Vec<u32>, CgroupError> {
        let mut found = BTreeSet::new();
        self.walk(|below, dir| {
            let failed = |name: &str, error| self.file_error("read", &below.join(name), error);
            let listed: BTreeSet<u32> = match files::read(dir, "cgroup.procs") {
                Ok(text) => parse::process_ids(&text).collect(),
                Err(error) if is_unsupported(&error) => BTreeSet::new(),
                Err(error) => return Err(failed("cgroup.procs", error)),
            };
            let threads =
                files::read(dir, "cgroup.threads").map_err(|error| failed("cgroup.threads", error))?;
            for thread in parse::process_ids(&threads) {
                let process = if listed.contains(&thread) { Some(thread) } else { process_of(thread) };
                found.extend(process);
            }
            Ok(())
        })?;
        Ok(found.into_iter().collect())
    }

    /// Moves a process with all its threads into this group.
    ///
    /// # Errors
    /// Where the kernel refuses (no such process, no permission) or the group is gone.
    pub fn add(&self, pid: u32) -> Result<(), CgroupError> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// The current state of the subtree, from `cgroup.events`.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn events(&self) -> Result<CgroupEvents, CgroupError> {
        Ok(CgroupEvents::parse(&self.read("cgroup.events")?))
    }

    /// Whether a live process is in the subtree. A group that is gone has none.
    ///
    /// # Errors
    /// Where the file cannot be read or lacks the field.
    pub fn populated(&self) -> Result<bool, CgroupError> {
        match self.events() {
            Ok(events) => events.populated.ok_or_else(|| self.format_error("cgroup.events", "populated")),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls `visit` with the id of every group of the subtree, each before its children are
    /// listed, until that returns false.
    ///
    /// # Errors
    /// Where a directory cannot be read.
    pub fn visit_ids(&self, visit: &mut dyn FnMut(u64) -> bool) -> Result<(), CgroupError> {
        let mut goes_on = true;
        self.walk(|below, dir| {
            if goes_on {
                let stat = rustix::fs::fstat(dir)
                    .map_err(|error| self.file_error("read the inode of cgroup", below, error.into()))?;
                goes_on = visit(stat.st_ino);
            }
            Ok(())
        })
    }

    /// CPU time of the subtree since the group was made. Members that left count up to their
    /// leaving.
    ///
    /// # Errors
    /// Where `cpu.stat` cannot be read or lacks the field. A kernel without pressure accounting has
    /// no waiting time; that is not an error.
    pub fn cpu_time(&self) -> Result<CpuTime, CgroupError> {
        let usage_usec = parse::keyed_number(&self.read("cpu.stat")?, "usage_usec")
            .ok_or_else(|| self.format_error("cpu.stat", "usage_usec"))?;
        let wait_usec =
            self.read("cpu.pressure").ok().and_then(|text| parse::pressure_total_usec(&text)).unwrap_or(0);
        Ok(CpuTime { usage_usec, wait_usec })
    }

    /// Memory and its limit, as far as the memory controller says; else the limit is what the host
    /// has.
    #[must_use]
    pub fn holds(&self) -> Holds {
        let number = |file| self.read(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let host = rustix::system::sysinfo();
        let host_bytes = (host.totalram as u64).saturating_mul(u64::from(host.mem_unit));
        Holds {
            memory_bytes: number("memory.current"),
            // `max` is no number.
            memory_limit_bytes: Some(number("memory.max").map_or(host_bytes, |bytes| bytes.min(host_bytes))),
            ..Holds::default()
        }
    }

    /// Removes the group and what is below it. Members must be gone.
    ///
    /// # Errors
    /// Where a process is still in it (`EBUSY`), or the path meanwhile belongs to another group.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let mut below = Vec::new();
        match self.walk(|path, _dir| {
            below.push(path.to_path_buf());
            Ok(())
        }) {
            Err(error) if error.is_gone() => return Ok(()),
            other => other?,
        }
        // The walk lists parents before children, the group itself first; removal goes the other
        // way.
        for child in below.iter().skip(1).rev() {
            self.remove_at(&self.dir, child)?;
        }
        self.remove_self()
    }

    fn remove_self(&self) -> Result<(), CgroupError> {
        let path = self.path();
        let parent = self.below.parent().unwrap_or(Path::new(""));
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let dir = match files::open_dir(self.root.dir(), parent) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(|error| CgroupError::io("open cgroup", &path, error))?,
        };
        let name = Path::new(self.below.file_name().unwrap_or_default());
        match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_ino == self.id => self.remove_at(&dir, name),
            // The path is gone or names another group: this group was removed already.
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(CgroupError::io("read the inode of cgroup", path, error)),
        }
    }

    fn remove_at(&self, dir: &OwnedFd, name: &Path) -> Result<(), CgroupError> {
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(CgroupError::io("remove cgroup", self.path().join(name), error)),
        }
    }

    /// Calls `visit` with every group of the subtree, parents first, and its path below this one.
    pub(super) fn walk(
        &self,
        mut visit: impl FnMut(&Path, &OwnedFd) -> Result<(), CgroupError>,
    ) -> Result<(), CgroupError> {
        let mut pending = vec![PathBuf::new()];
        while let Some(below) = pending.pop() {
            let at_top = below.as_os_str().is_empty();
            let opened;
            let dir = if at_top {
                &self.dir
            } else {
                opened = match files::open_dir(&self.dir, &below) {
                    Err(Errno::NOENT | Errno::NODEV) => continue,
                    other => other.map_err(|error| self.file_error("open cgroup", &below, error.into()))?,
                };
                &opened
            };
            match visit(&below, dir) {
                Err(error) if error.is_gone() && !at_top => continue,
                other => other?,
            }
            match files::children(dir) {
                Ok(names) => pending.extend(names.into_iter().map(|name| below.join(name))),
                Err(Errno::NOENT | Errno::NODEV) => {}
                Err(error) => return Err(self.file_error("list", &below, error.into())),
            }
        }
        Ok(())
    }

    pub(super) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    pub(super) fn read(&self, name: &str) -> Result<String, CgroupError> {
        files::read(&self.dir, name).map_err(|error| self.file_error("read", Path::new(name), error))
    }

    pub(super) fn write(&self, name: &str, value: &str) -> Result<(), CgroupError> {
        files::write(&self.dir, name, value)
            .map_err(|error| self.file_error("write to", Path::new(name), error))
    }

    pub(super) fn format_error(&self, name: &str, field: &'static str) -> CgroupError {
        CgroupError::Format { path: self.path().join(name), field }
    }

    /// The error of `what` on `below`. Distinguishes a removed group from a file that this kernel
    /// does not have.
    pub(super) fn file_error(&self, what: &'static str, below: &Path, source: io::Error) -> CgroupError {
        let names_this = below.as_os_str().as_bytes().iter().filter(|byte| **byte == b'/').count() == 0;
        let gone = files::means_gone(&source) && (!names_this || self.is_removed());
        let path = self.path().join(below);
        if gone { CgroupError::Gone { path } } else { CgroupError::io(what, path, source) }
    }

    /// A removed directory has no links left and no `cgroup.procs`.
    fn is_removed(&self) -> bool {
        matches!(files::open_file(&self.dir, "cgroup.procs"), Err(Errno::NOENT | Errno::NODEV))
    }
}

/// Whether a threaded group refused an operation on processes (`EOPNOTSUPP`).
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
}

/// The process of a thread; `None` where the thread has ended.
fn process_of(thread: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}
