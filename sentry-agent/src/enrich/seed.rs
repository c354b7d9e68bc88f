//! What procfs says of a process that was alive before its run knew it.
//!
//! procfs is read after the fact and shows what the process shows: its argv can be its own
//! invention. Kernel records replace all of it at the next exec.

use std::io::Read;

use procfs::process::{Process as Proc, Stat};
use sentry_common::record::text::ARGV_CAPACITY;
use sentry_detect::{
    event::{Argv, File, Path, PathSource, Process},
    run::ProcessKey,
};
use sentry_kernel::decode::text::escape;

/// Describes a live process; fields that cannot be read stay unknown. `None` when it is gone or
/// another process has its id now.
#[must_use]
pub fn process(key: ProcessKey) -> Option<Process> {
    let (proc, stat) = alive(key)?;
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

/// Whether the process is there, and not another one that has its id now.
#[must_use]
pub fn is_alive(key: ProcessKey) -> bool {
    alive(key).is_some()
}

fn alive(key: ProcessKey) -> Option<(Proc, Stat)> {
    let proc = Proc::new(i32::try_from(key.tgid).ok()?).ok()?;
    let stat = proc.stat().ok()?;
    // procfs counts in clock ticks (1/100 s on every Linux architecture that runs BPF).
    let same = key.start_boot_ns == 0 || key.start_boot_ns / NS_PER_TICK == stat.starttime;
    same.then_some((proc, stat))
}

/// The argument vector as the process shows it now, as much of it as an exec record holds.
#[must_use]
pub fn argv(tgid: u32) -> Option<Argv> {
    let file = std::fs::File::open(format!("/proc/{tgid}/cmdline")).ok()?;
    argv_of(file)
}

fn argv_of(file: impl Read) -> Option<Argv> {
    // One byte more shows whether there is more. How much more is not asked (an argv may have 6
    // MiB): the length of a cut one is at least this.
    let mut bytes = Vec::with_capacity(ARGV_CAPACITY + 1);
    file.take(ARGV_CAPACITY as u64 + 1).read_to_end(&mut bytes).ok()?;
    if bytes.is_empty() {
        return None;
    }
    let full_length_bytes = bytes.len() as u64;
    let truncated = bytes.len() > ARGV_CAPACITY;
    bytes.truncate(ARGV_CAPACITY);
    let body = if truncated { &bytes } else { bytes.strip_suffix(&[0]).unwrap_or(&bytes) };
    Some(Argv {
        arguments: body.split(|byte| *byte == 0).map(escape).collect(),
        truncated,
        full_length_bytes,
    })
}

const NS_PER_TICK: u64 = 10_000_000;

/// The parent's key, at the precision procfs has: only whole ticks are known.
fn parent(ppid: i32) -> Option<ProcessKey> {
    let stat = Proc::new(ppid).ok()?.stat().ok()?;
    Some(ProcessKey { tgid: u32::try_from(ppid).ok()?, start_boot_ns: stat.starttime * NS_PER_TICK })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_argv_without_end_is_cut() {
        let argv = argv_of(std::io::repeat(b'x')).unwrap();
        assert!(argv.truncated);
        assert_eq!(argv.arguments, ["x".repeat(ARGV_CAPACITY)]);
        assert_eq!(argv.full_length_bytes, ARGV_CAPACITY as u64 + 1);
        let whole = argv_of(&b"a\0b c\0"[..]).unwrap();
        assert_eq!(
            (whole.arguments, whole.truncated, whole.full_length_bytes),
            (vec!["a".to_owned(), "b c".to_owned()], false, 6)
        );
        assert_eq!(argv_of(std::io::empty()), None);
    }
}
