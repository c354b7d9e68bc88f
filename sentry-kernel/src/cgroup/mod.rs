//! Control groups v2: finding the hierarchy, making and opening groups, and the four acts the
//! sensor needs (add, freeze, kill, remove), each verified by what the kernel reports afterwards.
//!
//! - [`CgroupRoot`] is the hierarchy: `/sys/fs/cgroup` on a pure v2 host, `/sys/fs/cgroup/unified`
//!   on a hybrid one.
//! - [`Cgroup`] is one group, held by an open directory. A group made later under the same path is
//!   another group: an old handle never acts on it.
//!
//! Limits: process ids are those of the sensor's pid namespace. Everything blocks; callers on an
//! async runtime use a blocking thread. A task in an uninterruptible sleep can be frozen or killed
//! only when that sleep ends, so every wait has a deadline and a typed failure.

use std::{io, path::PathBuf};

mod parse;

mod mount;

mod own;

mod files;

mod handle;

mod open;

mod state;

mod mark;

pub use handle::{Cgroup, CpuTime};
pub use mark::Mark;
pub use mount::CgroupRoot;
pub use parse::CgroupEvents;

/// The directory below the mount in which the groups of supervised runs are made.
pub const RUNS_DIR: &str = "agentsentry";

/// Errors on control groups. Every variant names the path.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error(
        "no cgroup v2 hierarchy is listed in {path}; mount one: `mount -t cgroup2 none \
        /sys/fs/cgroup/unified`"
    )]
    NoMount { path: PathBuf },
    #[error("{path} is not on a cgroup v2 hierarchy; give a directory below the cgroup v2 mount")]
    NotCgroup2 { path: PathBuf },
    #[error("{path} is outside of the cgroup v2 mount {mount}; give a directory below it")]
    Outside { path: PathBuf, mount: PathBuf },
    #[error(
        "{path} is the root cgroup: it holds the whole host and cannot be a run; give a directory below it"
    )]
    IsRoot { path: PathBuf },
    #[error("{path} is a `{kind}` cgroup, which the kernel cannot kill as a whole; give its domain cgroup")]
    NotDomain { path: PathBuf, kind: String },
    #[error("`{path}` cannot name a run's cgroup; a name is one path component")]
    BadName { path: PathBuf },
    #[error("cgroup {path} does not exist any more")]
    Gone { path: PathBuf },
    #[error(
        "cgroup {path} was not {wanted} within {waited_ms} ms ({state}); a task may be in an uninterruptible \
        sleep"
    )]
    Timeout { path: PathBuf, wanted: &'static str, waited_ms: u64, state: String },
    #[error("process {pid} is in no group below {path}; mount the host's whole cgroup hierarchy there")]
    NotThere { pid: u32, path: PathBuf },
    #[error("cannot read the number `{field}` in {path}; is this a cgroup v2 file?")]
    Format { path: PathBuf, field: &'static str },
    #[error("cannot {what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl CgroupError {
    /// Whether the group has been removed: it has no members and never will.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }

    /// An error of the kernel's. A file of a removed group answers `ENODEV`, a path below it
    /// `ENOENT`.
    fn io(what: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { what, path: path.into(), source: source.into() }
    }
}

#[cfg(test)]
mod tests;
