//! What procfs says of a process that was alive before its run knew it.
//!
//! procfs is read after the fact and shows what the process shows: its argv can be its own invention. Kernel records
//! replace all of it at the next exec.

use procfs::process::Process as Proc;
use sentry_detect::{
    event::{Argv, File, Path, PathSource, Process},
    run::ProcessKey,
};

use crate::decode::text::escape;

/// Describes a live process; fields that cannot be read stay unknown. `None` when it is gone or another process has
/// its id now.
#[must_use]
pub fn process(key: ProcessKey) -> Option<Process> {
    let proc = Proc::new(i32::try_from(key.tgid).ok()?).ok()?;
    let stat = proc.stat().ok()?;
    // procfs counts in clock ticks (1/100 s on every Linux architecture that runs BPF).
    if key.start_boot_ns != 0 && key.start_boot_ns / NS_PER_TICK != stat.starttime {
        return None;
    }
    let kernel_path = |path: std::path::PathBuf| Path {
        text: escape(path.as_os_str().as_encoded_bytes()),
        source: PathSource::Kernel,
        truncated: false,
    };
    let status = proc.status().ok();
    Some(Process {
        key,
        tid: key.tgid,
        parent: parent(stat.ppid),
        executable: proc.exe().ok().map(|path| File { path: kernel_path(path), key: None }),
        argv: argv(key.tgid),
        cwd: proc.cwd().ok().map(kernel_path),
        uid: status.as_ref().map(|status| status.ruid),
        gid: status.as_ref().map(|status| status.rgid),
        euid: status.as_ref().map(|status| status.euid),
        pre_existing: true,
    })
}

/// The argument vector as the process shows it now.
#[must_use]
pub fn argv(tgid: u32) -> Option<Argv> {
    let bytes = std::fs::read(format!("/proc/{tgid}/cmdline")).ok()?;
    if bytes.is_empty() {
        return None;
    }
    let body = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    Some(Argv {
        arguments: body.split(|byte| *byte == 0).map(escape).collect(),
        truncated: false,
        full_length_bytes: bytes.len() as u64,
    })
}

const NS_PER_TICK: u64 = 10_000_000;

/// The parent's key, at the precision procfs has: only whole ticks are known.
fn parent(ppid: i32) -> Option<ProcessKey> {
    let stat = Proc::new(ppid).ok()?.stat().ok()?;
    Some(ProcessKey { tgid: u32::try_from(ppid).ok()?, start_boot_ns: stat.starttime * NS_PER_TICK })
}
