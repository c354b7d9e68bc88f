//! The owner of a run's group, written on the group itself: an extended attribute that lives as
//! long as the group, whatever happens to the sensor's files. Only root can set it, because only
//! root may write to the group's directory.
//!
//! `user.agentsentry` = `<word> <state directory>`. The word is the run's mode, `observe` or
//! `enforce`, or `released` if the watch was ended on purpose. Kernels before 5.7 have no such
//! attributes on groups.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::{fs::XattrFlags, io::Errno};
use sentry_detect::run::Mode;

use super::{Cgroup, CgroupError, CgroupRoot, RUNS_DIR, files};

const ATTRIBUTE: &str = "user.agentsentry";
/// Most bytes: the longest path, and the word.
const LIMIT_BYTES: usize = 4096 + 16;

/// The mark of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run's mode; `None` if the watch was ended on purpose.
    pub mode: Option<Mode>,
    /// State directory of the sensor that made the group.
    pub state_dir: PathBuf,
}

impl Mark {
    fn to_bytes(&self) -> Vec<u8> {
        let word: &[u8] = match self.mode {
            Some(Mode::Observe) => b"observe ",
            Some(Mode::Enforce) => b"enforce ",
            None => b"released ",
        };
        [word, self.state_dir.as_os_str().as_bytes()].concat()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let at = bytes.iter().position(|byte| *byte == b' ')?;
        let mode = match &bytes[..at] {
            b"observe" => Some(Mode::Observe),
            b"enforce" => Some(Mode::Enforce),
            b"released" => None,
            _ => return None,
        };
        Some(Self { mode, state_dir: Path::new(OsStr::from_bytes(&bytes[at + 1..])).to_owned() })
    }
}

impl Cgroup {
    /// Writes the mark on the group.
    ///
    /// # Errors
    /// Where the kernel refuses, or is too old.
    pub fn set_mark(&self, mark: &Mark) -> Result<(), CgroupError> {
        rustix::fs::fsetxattr(self.dir(), ATTRIBUTE, &mark.to_bytes(), XattrFlags::empty())
            .map_err(|error| CgroupError::io("mark cgroup", self.path(), error))
    }

    /// The group's mark, if it has one that can be read.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        let mut bytes = [0; LIMIT_BYTES];
        let length = rustix::fs::fgetxattr(self.dir(), ATTRIBUTE, &mut bytes[..]).ok()?;
        Mark::parse(&bytes[..length])
    }

    /// When the group's directory last changed: the time when it, or a child of it, was made or a
    /// child removed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn changed_unix_s(&self) -> Result<u64, CgroupError> {
        let stat = rustix::fs::fstat(self.dir())
            .map_err(|error| CgroupError::io("read the inode of cgroup", self.path(), error))?;
        Ok(u64::try_from(stat.st_mtime).unwrap_or(0))
    }
}

impl CgroupRoot {
    /// Names of the groups in the directory of runs; empty if no run ever had a group.
    ///
    /// # Errors
    /// Where they cannot be listed.
    pub fn names_of_runs(&self) -> Result<Vec<std::ffi::OsString>, CgroupError> {
        let path = || self.mount().join(RUNS_DIR);
        match files::open_dir(self.dir(), Path::new(RUNS_DIR)) {
            Err(Errno::NOENT) => Ok(Vec::new()),
            Err(error) => Err(CgroupError::io("open cgroup", path(), error)),
            Ok(dir) => files::children(dir).map_err(|error| CgroupError::io("list", path(), error)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was_and_anything_else_is_none() {
        for mode in [Some(Mode::Observe), Some(Mode::Enforce), None] {
            let mark = Mark { mode, state_dir: "/var/lib/agent sentry".into() };
            assert_eq!(Mark::parse(&mark.to_bytes()).unwrap(), mark);
        }
        for wrong in [&b""[..], b"observe", b"other /x", b" /x", b"\xff /x"] {
            assert_eq!(Mark::parse(wrong), None, "{wrong:?}");
        }
    }
}
