//! What the hooks of each fact do not report. `sentry doctor`, every report and `docs/hooks.md`
//! show it.

use sentry_common::fact::Fact;

use super::hooks::Tier;

type Lost = Option<&'static str>;

/// One text for tiers with trampolines, another for those without.
const fn split(tier: Tier, ab: Lost, c: Lost) -> Lost {
    match tier {
        Tier::A | Tier::B => ab,
        Tier::C => c,
    }
}

const ALL_OF_IT: Lost = Some("all of it");
const LATER: Lost = Some("whether a later check or the file system refused it");
const ARGUMENT: Lost = Some("the object: only the path that the program passed; io_uring");
const BY_PATH: Lost = Some(
    "refused calls; the object where the call names it by path: only the path that the program passed; \
    io_uring",
);
const REFUSED: Lost = Some("refused calls; io_uring");
const UNFINISHED: Lost = Some("whether a later check refused it");

/// The part of a fact that a tier does not see.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table: a row for each fact")]
pub const fn lost(fact: Fact, tier: Tier) -> Lost {
    match fact {
        Fact::Fork => None,
        Fact::Exec => None,
        Fact::ScriptOfExec => {
            split(tier, None, Some("its identity: only the path that was asked for, in the exec"))
        }
        Fact::FailedExec => split(
            tier,
            Some("the object: only the path that the program passed, as it stood after the call"),
            Some("the object: only the path that the program passed, as it stood after the call"),
        ),
        Fact::Exit => None,
        Fact::CgroupMove => Some("who wrote to cgroup.procs"),
        Fact::CgroupChange => None,
        Fact::PreExisting => Some("argv comes from procfs, as the process shows it now"),
        Fact::Connect => None,
        Fact::ConnectOutcome => {
            Some("connects refused before a packet was sent (no route); two ends that connect to each other")
        }
        Fact::Send => Some("datagrams on connected sockets"),
        Fact::RawSend => Some(
            "packets of packet sockets (AF_PACKET); what was sent but not let out; sockets made before the \
            run",
        ),
        Fact::Bind => Some("refused binds; ports that the kernel chose without a bind(2)"),
        Fact::Listen => Some("the port, where listen(2) chose it"),
        Fact::Accept => split(tier, Some("families other than IPv4 and IPv6"), Some("io_uring")),
        Fact::SocketOwner => Some("sockets beyond 65 536: the longest unused are forgotten"),
        Fact::SocketMade => split(tier, None, Some("refused calls; io_uring; socketpair")),
        Fact::Names => Some(
            "DNS at ports other than 53; what is encrypted; the process, for sockets made before the run; a \
            name behind the first segment of a message or behind IPv6 extension headers",
        ),
        Fact::UnixConnect => split(
            tier,
            Some("connects to a name where nobody listens"),
            Some("refused calls; io_uring; the process behind a datagram socket"),
        ),
        Fact::UnixDatagram => split(
            tier,
            Some("the process behind a socket that was only bound; datagrams over SOCK_SEQPACKET"),
            ALL_OF_IT,
        ),
        Fact::DescriptorReceived => {
            split(tier, Some("the packets of a socket that had no traffic before it came in"), ALL_OF_IT)
        }
        Fact::FileOpen => split(tier, LATER, Some("refused opens; opens by io_uring")),
        Fact::FileClose => {
            split(tier, Some("whether anything was written; closes left to a kernel thread"), ALL_OF_IT)
        }
        Fact::FileUnlink => split(tier, LATER, ARGUMENT),
        Fact::FileRename => split(tier, LATER, ARGUMENT),
        Fact::FileLink => split(tier, LATER, ARGUMENT),
        Fact::FileSymlink => split(tier, LATER, ARGUMENT),
        Fact::FileMkdir => split(tier, LATER, ARGUMENT),
        Fact::FileMknod => split(
            tier,
            Some("whether a later check or the file system refused it; plain files of 32-bit calls"),
            ARGUMENT,
        ),
        Fact::FileTruncate => split(tier, Some("the new size; whether the file system refused it"), BY_PATH),
        Fact::FileMode => split(tier, LATER, BY_PATH),
        Fact::FileAttribute => split(
            tier,
            Some("where the file system is mounted; whether it refused the change; the value"),
            BY_PATH,
        ),
        Fact::FileCopy => split(tier, None, REFUSED),
        Fact::FileAllocate => split(tier, None, REFUSED),
        Fact::MemoryMapping => split(
            tier,
            Some("whether a later check refused it; what is written through the mapping"),
            Some(
                "refused calls; what the kernel maps itself at an exec; which file memory is of that becomes \
                executable",
            ),
        ),
        Fact::Signal => Some("refused signals"),
        Fact::ProcessAccess => split(
            tier,
            Some("what was refused for the owner or for lack of a capability"),
            Some("the target, where the caller is in a pid namespace of its own; access by /proc/PID/mem"),
        ),
        Fact::Credentials => split(
            tier,
            Some("refused changes; lost capabilities"),
            Some("refused changes; the uid before; capabilities"),
        ),
        Fact::Namespaces => split(
            tier,
            Some("which namespace setns entered, where its caller did not say; 32-bit setns"),
            Some("which namespace setns entered, where its caller did not say"),
        ),
        Fact::Mount => split(
            tier,
            Some("whether a later check or the file system refused it; the source of a moved mount"),
            Some("what the paths stood for: only the arguments"),
        ),
        Fact::ChangeRoot => split(tier, UNFINISHED, Some("what the paths stood for: only the arguments")),
        Fact::Watch => split(
            tier,
            Some("whether a later check refused it; whether it was set or taken back"),
            Some("what the path stood for: only the argument; whether it was set or taken back"),
        ),
        Fact::Bpf => split(tier, UNFINISHED, Some("what a bpf call was about")),
        Fact::PerfOpen => split(tier, Some("32-bit calls"), None),
        Fact::KernelModule => {
            Some("refused loads; modules that the kernel loads by itself for an act of the run")
        }
        Fact::IoRing => Some("refused rings"),
        Fact::IoOperation => split(
            tier,
            Some("the request itself: what it does is reported like any other act"),
            Some(
                "its result; the object: only the path that the program passed, of a rename the old one; \
                requests that move data",
            ),
        ),
    }
}
