//! The cgroups and processes that are there already.

use std::{
    fs,
    os::unix::fs::DirEntryExt as _,
    path::{Path, PathBuf},
};

use procfs::process::Process as Proc;
use sentry_common::table::FileId;
use sentry_detect::{event, run::ProcessKey};
use sentry_kernel::decode::text::escape;

use super::asked::Executed;
use crate::{enrich::process_table, select::file_id};

/// Most cgroups that are looked at in one pass; a host has some hundred.
const MOST_CGROUPS: usize = 100_000;

/// A cgroup: its id, and its path below the mount.
pub(super) type Group = (u64, PathBuf);

/// All cgroups below `mount`, parents first. What goes away meanwhile is left out.
#[must_use]
pub(super) fn groups(mount: &Path) -> Vec<Group> {
    let mut found: Vec<Group> = Vec::new();
    let mut next = vec![PathBuf::new()];
    while let Some(below) = next.pop() {
        let Ok(entries) = fs::read_dir(mount.join(&below)) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if found.len() >= MOST_CGROUPS {
                tracing::warn!(limit = MOST_CGROUPS, "not all cgroups are looked at: there are too many");
                return found;
            }
            let path = below.join(entry.file_name());
            found.push((entry.ino(), path.clone()));
            next.push(path);
        }
    }
    found
}

/// Where the cgroup with this id is.
#[must_use]
pub(super) fn find(mount: &Path, id: u64) -> Option<PathBuf> {
    groups(mount).into_iter().find(|(of, _)| *of == id).map(|(_, below)| below)
}

/// A process as procfs shows it.
pub(super) struct Running {
    pub key: ProcessKey,
    pub uid: u32,
    /// Path of its cgroup below the mount, without the first slash.
    pub cgroup: PathBuf,
    /// The program's path and file. Procfs shows those of other users' processes to who has
    /// `CAP_SYS_PTRACE` only.
    pub executable: Option<PathBuf>,
    pub file: Option<FileId>,
    pub argv: Vec<String>,
}

impl Running {
    /// As if it had just been executed.
    #[must_use]
    pub(super) fn as_executed(&self) -> Executed {
        let path = |path: &Path| event::Path {
            text: escape(path.as_os_str().as_encoded_bytes()),
            source: event::PathSource::Kernel,
            truncated: false,
        };
        let key = self.file.map(|file| event::FileKey {
            device_major: file.device >> 20,
            device_minor: file.device & 0xf_ffff,
            inode: file.inode,
            generation: 0,
            links: 1,
            mode: 0,
        });
        let process = event::Process {
            executable: self.executable.as_deref().map(|at| event::File { path: path(at), key }),
            uid: Some(self.uid),
            ..process_table::unknown(self.key)
        };
        // The requested file name is unknown by now.
        let requested = self.executable.as_deref().map_or_else(|| path(Path::new("")), path);
        Executed { process, requested, script: None, time_boot_ns: self.key.start_boot_ns }
    }
}

/// The processes of this host that run a program, as far as they can be looked at.
pub(super) fn processes() -> impl Iterator<Item = Running> {
    let all = procfs::process::all_processes().into_iter().flatten();
    all.filter_map(|process| running(&process.ok()?))
}

fn running(process: &Proc) -> Option<Running> {
    let cgroups = process.cgroups().ok()?;
    let v2 = cgroups.into_iter().find(|group| group.hierarchy == 0)?;
    let stat = process.stat().ok()?;
    Some(Running {
        key: ProcessKey {
            tgid: u32::try_from(process.pid).ok()?,
            // procfs counts in clock ticks.
            start_boot_ns: stat.starttime * 10_000_000,
        },
        uid: process.uid().ok()?,
        cgroup: v2.pathname.trim_start_matches('/').into(),
        file: fs::metadata(format!("/proc/{}/exe", process.pid)).ok().and_then(|file| file_id(&file)),
        executable: process.exe().ok(),
        // A task of the kernel has none.
        argv: process.cmdline().ok().filter(|argv| !argv.is_empty())?,
    })
}
