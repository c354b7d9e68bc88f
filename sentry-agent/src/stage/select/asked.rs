//! What the kernel asks: a record of a candidate that says which cgroup it is and why.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::PathBuf};

use sentry_common::{
    record::{
        cgroup::{CANDIDATE, CgroupRecord},
        process::ExecRecord,
        text::TRUNCATED,
    },
    table::{FileId, RunTag},
};
use sentry_detect::{
    event::{File, FileKey, Path, Process},
    run::ProcessKey,
};
use sentry_kernel::decode::{Raw, Record, text};

use crate::enrich::event;

/// A cgroup that may be an agent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub tag: RunTag,
    pub cgroup: u64,
    pub why: Why,
}

/// What made the kernel ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was made, at this path below the mount. `None`: the path was too long for the record.
    Made(Option<PathBuf>),
    Executed(Box<Executed>),
}

/// Something was executed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    pub process: Process,
    /// What was asked for, made absolute.
    pub requested: Path,
    pub script: Option<File>,
    /// `CLOCK_BOOTTIME`, ns.
    pub time_boot_ns: u64,
}

impl Asked {
    /// `None` for a record that does not say it.
    #[must_use]
    pub fn of(tag: RunTag, record: &Raw) -> Option<Self> {
        match record.decode().ok()? {
            Record::CgroupMake(made) if made.flags & CANDIDATE != 0 => {
                Some(Self { tag, cgroup: made.cgroup, why: Why::Made(path_of(made)) })
            }
            Record::Exec(exec) => {
                Some(Self { tag, cgroup: exec.cgroup, why: Why::Executed(Box::new(executed(exec))) })
            }
            _ => None,
        }
    }

    #[must_use]
    pub fn is_about_an_execution(&self) -> bool {
        matches!(self.why, Why::Executed(_))
    }
}

fn path_of(made: &CgroupRecord) -> Option<PathBuf> {
    let bytes = made.path.bytes.get(..made.path.length as usize)?;
    let below = bytes.strip_prefix(b"/").filter(|below| !below.is_empty())?;
    (made.path.flags & TRUNCATED == 0).then(|| OsStr::from_bytes(below).into())
}

fn executed(exec: &ExecRecord) -> Executed {
    let key = ProcessKey { tgid: exec.header.tgid, start_boot_ns: exec.header.start_boot_ns };
    let process = event::process(key, exec);
    Executed {
        requested: text::argument(&exec.cwd, &exec.requested),
        script: event::script(exec, &process),
        process,
        time_boot_ns: exec.header.time_boot_ns,
    }
}

impl Executed {
    /// Where the program is, and what was asked for, as far as they are whole.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        let program = self.process.executable.as_ref().map(|file| &file.path);
        let whole = program.into_iter().chain([&self.requested]).filter(|path| !path.truncated);
        whole.map(|path| path.text.as_str()).collect()
    }

    /// The command line, as far as the record has it.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        self.process.argv.as_ref().map(|argv| argv.arguments.clone()).unwrap_or_default()
    }

    /// The program, and the script that it interprets.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.process.executable.iter().chain(&self.script)
    }

    /// Those whose place in a file system is known.
    #[must_use]
    pub fn file_ids(&self) -> Vec<FileId> {
        self.files().filter_map(|file| file.key).map(|key| file_id(&key)).collect()
    }
}

/// As the kernel's tables have it.
#[must_use]
pub fn file_id(key: &FileKey) -> FileId {
    FileId { inode: key.inode, device: key.device_major << 20 | key.device_minor, reserved: 0 }
}
