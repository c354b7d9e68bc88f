//! Events: decoded, enriched, owned facts about what a run did.

use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};

use crate::{
    act::{FileAct, KernelAct, SocketAct, TargetAct},
    identity::{AgentIdentity, ProcessKey, RunId},
};

/// One fact. What it shares with others of its run and process is held once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unique and stable: `<run>-<ring>-<sequence>`, e.g. `0199…-c-17`.
    pub id: String,
    pub run: Arc<RunId>,
    pub agent: Arc<AgentIdentity>,
    /// Which ring it came through, and its number there.
    pub ring: Ring,
    pub sequence: u64,
    /// Unix time, ns.
    pub time_unix_ns: u64,
    /// The acting process.
    pub process: Arc<Process>,
    pub kind: EventKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    Critical,
    Bulk,
}

/// What is known of a process. Fields that were never seen are `None`, not guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub key: ProcessKey,
    pub tid: u32,
    pub parent: Option<ProcessKey>,
    pub executable: Option<File>,
    pub argv: Option<Argv>,
    pub cwd: Option<Path>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub euid: Option<u32>,
    /// Was in the cgroup before the tag.
    pub pre_existing: bool,
}

/// A file object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: Path,
    /// Absent when only the program's own argument is known.
    pub key: Option<FileKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileKey {
    pub device_major: u32,
    pub device_minor: u32,
    pub inode: u64,
    pub generation: u32,
    pub links: u32,
    pub mode: u32,
}

/// Bytes that the kernel calls a path, and how far they can be believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Path {
    /// Lossless where the bytes are UTF-8; other bytes as `\xNN`, a backslash as `\\`.
    pub text: String,
    pub source: PathSource,
    pub truncated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathSource {
    /// Walked from the kernel's own object.
    Kernel,
    /// What the program passed, made absolute by text alone; links in it are not followed.
    Argument,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argv {
    /// Escaped as [`Path::text`].
    pub arguments: Vec<String>,
    pub truncated: bool,
    pub full_length_bytes: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The acting process made a child process.
    Fork {
        child: ProcessKey,
    },
    /// The acting process became a new program; `Event::process` describes the new image.
    Exec {
        /// What execve was asked for, in the program's words: a link, a script, a descriptor.
        requested: Option<Path>,
        /// The script, where the image is its interpreter.
        script: Option<File>,
        /// Thread that called it, where that was not the first of the process.
        by_thread: Option<u32>,
    },
    /// An execve that did not happen.
    ExecFailed {
        path: Path,
        /// errno.
        error: u32,
    },
    /// The last thread ended.
    Exit {
        code: Option<u32>,
        signal: Option<u32>,
    },
    /// Was there before the tag.
    Seed,
    /// A process outside of the run executed a program; `Event::process` describes it. The run
    /// connected to a socket of `asked`, and within ten seconds `asked` started the process or an
    /// ancestor of it.
    StartedOutside {
        asked: ProcessKey,
    },
    /// Changed cgroup. `in_run`: the destination is the run's; `member_before`: it was in the run
    /// before.
    CgroupMove {
        cgroup: u64,
        path: String,
        in_run: bool,
        member_before: bool,
        at_birth: bool,
    },
    CgroupMake {
        cgroup: u64,
        path: String,
    },
    CgroupRemove {
        cgroup: u64,
        path: String,
    },
    /// The record's own state: from here on events of this run are missing, or they are whole
    /// again.
    Completeness {
        missing: bool,
        /// So far: for lack of room, and by throttling.
        lost: u64,
        throttled: u64,
    },
    /// connect(2), before its result is known.
    Connect {
        destination: Endpoint,
    },
    /// A datagram with its own destination.
    Send {
        destination: Endpoint,
    },
    Open {
        file: File,
        intent: OpenIntent,
        created: bool,
        attempt: bool,
    },
    Unlink {
        file: File,
        attempt: bool,
    },
    Rename {
        file: File,
        new_path: Path,
        attempt: bool,
    },
    /// Any other act on a file.
    File {
        act: FileAct,
        /// Absent for memory without a file.
        file: Option<File>,
        /// The second name of a link or exchange.
        new_path: Option<Path>,
        /// By act: size, mode, `uid << 32 | gid`, protection bits, bytes.
        detail: u64,
        /// Target of a symlink, name of an attribute.
        text: Option<String>,
        /// Not certain to have happened: a later check or the file system may have refused.
        attempt: bool,
        /// errno, where it was refused.
        error: Option<u32>,
    },
    /// Any other act of a socket.
    Socket {
        act: SocketAct,
        family: u16,
        socket_type: u16,
        local: Option<Endpoint>,
        remote: Option<Endpoint>,
        /// Joins the acts of one socket; 0 = unknown.
        cookie: u64,
        error: Option<u32>,
    },
    /// A unix socket was connected, or sent a datagram, to one with a name or an owner.
    Unix {
        /// Escaped as [`Path::text`]; abstract names begin with `@`.
        name: String,
        datagram: bool,
        peer: Option<ProcessKey>,
        peer_uid: Option<u32>,
        peer_in_run: bool,
        /// What a listed service's process runs, escaped as [`Path::text`]; read from procfs after
        /// the fact.
        peer_executable: Option<String>,
        /// The known service behind it, such as `docker`; see the sensor's list.
        service: Option<String>,
        error: Option<u32>,
    },
    /// A DNS message on the wire.
    Dns {
        server: Endpoint,
        /// An answer came in; without it, a question went out.
        answer: bool,
        name: String,
        /// `A`, `AAAA`, `TXT`, …; `TYPE<n>` where there is no name for it.
        record_type: String,
        /// `NOERROR`, `NXDOMAIN`, …
        code: Option<String>,
        /// Addresses and names in the answer.
        answers: Vec<String>,
    },
    /// A TLS connection said whom it wants to talk to (RFC 6066 server name).
    TlsHello {
        destination: Endpoint,
        server_name: String,
    },
    /// An act on another process.
    Target {
        act: TargetAct,
        target: ProcessKey,
        /// Signal number, or the way of access.
        code: u32,
        target_in_run: bool,
        attempt: bool,
        error: Option<u32>,
    },
    /// An act on the kernel or on the process's own standing in it.
    Kernel {
        act: KernelAct,
        code: u32,
        detail: u64,
        path: Option<Path>,
        text: Option<String>,
        error: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
    /// IANA protocol number; 6 = TCP, 17 = UDP.
    pub protocol: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIntent {
    pub read: bool,
    pub write: bool,
    pub truncate: bool,
    pub append: bool,
    /// O_PATH: a handle only.
    pub path_only: bool,
    /// `f_flags` as the kernel has them.
    pub raw: u32,
}
