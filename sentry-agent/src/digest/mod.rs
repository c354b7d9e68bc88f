//! SHA-256 of executed files: of the content that was executed, or none.
//!
//! - `executed`: an executed file, and what is known of its content.
//! - `find`: the file that a record names, by the process that runs it or by its name.
//! - `proof`: whether the content that is read now is the content that was executed then.
//! - `content`: reads and remembers contents, each once.
//! - `readers`: the thread that does it, and those that a file system did not give back.
//!
//! The time of the file's last change has to lie before the execution. Where it is too close, the
//! process has to run the file still: the kernel lets nobody write to it then (`ETXTBSY`, seen on
//! 6.1.176, 6.12.117, 6.18.15 and 7.2.12).

mod executed;

mod content;

mod find;

mod proof;

mod readers;

pub use executed::{Basis, Content, Executed, Proven, Unknown};
pub use readers::Readers;

/// What keeps the sensor from reading all of them, in words.
#[must_use]
pub fn limits() -> Vec<String> {
    /// <linux/capability.h>: without it procfs does not show what another program runs.
    const CAP_SYS_PTRACE: u32 = 19;
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    let may_look = status.is_ok_and(|status| status.capeff & (1 << CAP_SYS_PTRACE) != 0);
    let lacks = |has: bool, what: &str| (!has).then(|| format!("contents of executed files: {what}"));
    let limits = [
        lacks(may_look, "without CAP_SYS_PTRACE those that are not under the same name for the sensor"),
        lacks(
            find::writes_are_denied(),
            "this kernel lets programs be written to while they run; those changed lately",
        ),
    ];
    limits.into_iter().flatten().collect()
}
