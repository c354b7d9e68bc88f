//! Every kind of fact, and what its hooks do not tell. `sentry doctor`, every report and `docs/hooks.md` say it.

/// One kind of fact, and what its hooks do not tell, by tier (A, B, C).
#[derive(Debug)]
pub struct FactRow {
    pub name: &'static str,
    pub lost: [Option<&'static str>; 3],
}

const fn fact(name: &'static str, lost: Option<&'static str>) -> FactRow {
    FactRow { name, lost: [lost; 3] }
}

/// The same with trampolines, something else without.
const fn split(name: &'static str, ab: Option<&'static str>, c: Option<&'static str>) -> FactRow {
    FactRow { name, lost: [ab, ab, c] }
}

const ALL_OF_IT: Option<&str> = Some("all of it");
const LATER: Option<&str> = Some("whether a later check or the file system refused it");
const ARGUMENT: Option<&str> = Some("the object: only the path that the program passed; io_uring");
const BY_PATH: Option<&str> = Some(
    "refused calls; the object where the call names it by path: only the path that the program passed; io_uring",
);
const REFUSED: Option<&str> = Some("refused calls; io_uring");
const UNFINISHED: Option<&str> = Some("whether a later check refused it");

/// Every fact, in the order of the documents.
pub static FACTS: &[FactRow] = &[
    fact("fork", None),
    fact("exec", None),
    split("script of an exec", None, Some("its identity: only the path that was asked for, in the exec")),
    split(
        "failed exec",
        Some("the object: only the path that the program passed, as it stood after the call"),
        Some("the object: only the path that the program passed, as it stood after the call"),
    ),
    fact("exit", None),
    fact("cgroup move", Some("who wrote to cgroup.procs")),
    fact("cgroup made, removed", None),
    fact("pre-existing process", Some("argv comes from procfs, as the process shows it now")),
    fact("TCP, UDP connect", None),
    fact(
        "outcome of a TCP connect",
        Some("connects refused before a packet was sent (no route); two ends that connect to each other"),
    ),
    fact("UDP destination", Some("datagrams on connected sockets")),
    fact(
        "ICMP, raw destination",
        Some(
            "packets of packet sockets (AF_PACKET); what was sent but not let out; sockets made before the run",
        ),
    ),
    fact("bind", Some("refused binds; ports that the kernel chose without a bind(2)")),
    fact("TCP listen", Some("the port, where listen(2) chose it")),
    split("accept", Some("families other than IPv4 and IPv6"), Some("io_uring")),
    fact("owner of a socket", Some("sockets beyond 65 536: the longest unused are forgotten")),
    split("socket made", None, Some("refused calls; io_uring; socketpair")),
    fact(
        "DNS and TLS names",
        Some(
            "DNS at ports other than 53; what is encrypted; the process, for sockets made before the run; a name \
             behind the first segment of a message or behind IPv6 extension headers",
        ),
    ),
    split(
        "unix connect",
        Some("connects to a name where nobody listens"),
        Some("refused calls; io_uring; the process behind a datagram socket"),
    ),
    split(
        "unix datagram",
        Some("the process behind a socket that was only bound; datagrams over SOCK_SEQPACKET"),
        ALL_OF_IT,
    ),
    split(
        "descriptor received",
        Some("the packets of a socket that had no traffic before it came in"),
        ALL_OF_IT,
    ),
    split("file open, create", LATER, Some("refused opens; opens by io_uring")),
    split("file close", Some("whether anything was written; closes left to a kernel thread"), ALL_OF_IT),
    split("file unlink", LATER, ARGUMENT),
    split("file rename", LATER, ARGUMENT),
    split("file link", LATER, ARGUMENT),
    split("file symlink", LATER, ARGUMENT),
    split("file mkdir", LATER, ARGUMENT),
    split(
        "file mknod",
        Some("whether a later check or the file system refused it; plain files of 32-bit calls"),
        ARGUMENT,
    ),
    split("file truncate", Some("the new size; whether the file system refused it"), BY_PATH),
    split("file mode, owner", LATER, BY_PATH),
    split(
        "file attribute",
        Some("where the file system is mounted; whether it refused the change; the value"),
        BY_PATH,
    ),
    split("file copy", None, REFUSED),
    split("file allocate", None, REFUSED),
    split(
        "memory mapping",
        Some("whether a later check refused it; what is written through the mapping"),
        Some(
            "refused calls; what the kernel maps itself at an exec; which file memory is of that becomes executable",
        ),
    ),
    fact("signal", Some("refused signals")),
    split(
        "ptrace, process access",
        Some("what was refused for the owner or for want of a capability"),
        Some("the target, where the caller is in a pid namespace of its own; access by /proc/PID/mem"),
    ),
    split(
        "credentials",
        Some("refused changes; lost capabilities"),
        Some("refused changes; the uid before; capabilities"),
    ),
    split(
        "namespaces",
        Some("which namespace setns entered, where its caller did not say; 32-bit setns"),
        Some("which namespace setns entered, where its caller did not say"),
    ),
    split(
        "mount, unmount",
        Some("whether a later check or the file system refused it; the source of a moved mount"),
        Some("what the paths stood for: only the arguments"),
    ),
    split("chroot, pivot_root", UNFINISHED, Some("what the paths stood for: only the arguments")),
    split(
        "fanotify mark",
        Some("whether a later check refused it; whether it was set or taken back"),
        Some("what the path stood for: only the argument; whether it was set or taken back"),
    ),
    split("bpf call", UNFINISHED, Some("what a bpf call was about")),
    split("perf_event_open", Some("32-bit calls"), None),
    fact(
        "kernel module",
        Some("refused loads; modules that the kernel loads by itself for an act of the run"),
    ),
    fact("io_uring", Some("refused rings")),
    split(
        "io_uring request",
        Some("the request itself: what it does is told like any other act"),
        Some(
            "its result; the object: only the path that the program passed, of a rename the old one; requests that \
             move data",
        ),
    ),
];
