//! Why programs cannot be loaded or attached, or their tables not be used.

use std::{io, path::PathBuf};

use aya::{EbpfError, programs::ProgramError};

/// Why the programs are not running.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "this build of sentry has no BPF programs in it; build it with `cargo xtask build`, which installs \
        the BPF toolchain"
    )]
    NoPrograms,
    #[error(
        "no kernel type information at {path}; the kernel must be built with CONFIG_DEBUG_INFO_BTF=y (any \
        current distribution kernel is)",
        path = path.display()
    )]
    NoBtf { path: PathBuf },
    #[error(
        "{path} is not readable as BTF ({reason}); boot a distribution kernel or report its version",
        path = path.display()
    )]
    BadBtf { path: PathBuf, reason: String },
    #[error(
        "this kernel lacks structure fields the programs need: {}; report its version",
        missing.join(", ")
    )]
    MissingFields { missing: Vec<String> },
    #[error(
        "no permission to load BPF programs; run the sensor as root, or with CAP_BPF, CAP_PERFMON and \
        CAP_NET_ADMIN"
    )]
    Permission,
    #[error(
        "cannot use the BPF file system at {path}; mount it with `mount -t bpf bpf {path}`",
        path = path.display()
    )]
    BpfFs {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the kernel refused BPF object {object}; `sentry doctor` shows what this kernel can do")]
    Object {
        object: &'static str,
        #[source]
        source: Box<EbpfError>,
    },
    #[error("the kernel refused program {program} of BPF object {object}{log}")]
    Program {
        object: &'static str,
        program: &'static str,
        /// Last lines of the verifier's log, if it wrote one.
        log: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "this kernel calls {hook} otherwise than program {program} reads it: {difference}; report its version"
    )]
    Prototype { program: &'static str, hook: String, difference: String },
    #[error(
        "BPF object {object} has no {what} named {name}; the objects and the sensor are from different builds"
    )]
    Absent { object: &'static str, what: &'static str, name: &'static str },
    #[error("cannot {doing} BPF table {table}")]
    Table {
        doing: &'static str,
        table: &'static str,
        #[source]
        source: Box<aya::maps::MapError>,
    },
    #[error("cannot open the cgroup v2 root {path}", path = path.display())]
    CgroupRoot {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot run the task iterator that finds processes already in a cgroup")]
    Seed {
        #[source]
        source: io::Error,
    },
}

impl LoadError {
    /// The verifier refused a program.
    #[must_use]
    pub(super) fn is_by_verifier(&self) -> bool {
        matches!(self, Self::Program { log, .. } if !log.is_empty()) && !self.is_permission()
    }

    /// The kernel refused a program or map for lack of privilege.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return io.raw_os_error() == Some(nix::libc::EPERM);
            }
            source = error.source();
        }
        false
    }
}

/// The refusal of a program, with the end of the verifier's log: its last lines name the
/// instruction and the rule.
pub(super) fn refused(object: &'static str, program: &'static str) -> impl Fn(ProgramError) -> LoadError {
    /// Lines kept.
    const TAIL: usize = 12;
    move |error| {
        let (source, log) = match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                let text = verifier_log.to_string();
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(TAIL)..];
                (
                    io_error,
                    if tail.is_empty() { String::new() } else { format!("; verifier: {}", tail.join(" | ")) },
                )
            }
            ProgramError::SyscallError(error) => (error.io_error, String::new()),
            other => (io::Error::other(other), String::new()),
        };
        LoadError::Program { object, program, log, source }
    }
}
