//! The one table of hooks: which fact, from which program, on which kernel hook, on which tiers. Loading, attaching,
//! `sentry doctor` and `docs/hooks.md` all read it.

use super::objects::Object;

/// How much the kernel offers; each is a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// BPF-LSM is active.
    A = 1,
    /// Trampolines, but no BPF-LSM.
    B = 2,
    /// BTF tracepoints only.
    C = 4,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

/// Sets of tiers.
const ALL: u8 = 7;
const A: u8 = Tier::A as u8;
const B: u8 = Tier::B as u8;
const AB: u8 = A | B;
const C: u8 = Tier::C as u8;

/// What sort of hook it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// `tp_btf`: a tracepoint with typed arguments.
    Tracepoint,
    /// `iter/task`; run, not attached.
    Iterator,
    Lsm,
    /// Before and after a kernel function.
    FEntry,
    FExit,
    /// `cgroup/connect4` and its like, at the cgroup root.
    SockAddr,
    /// `cgroup/post_bind4` and its like.
    Sock,
    Egress,
    Ingress,
}

impl Attach {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Tracepoint => "tp_btf/",
            Self::Iterator => "iter/",
            Self::Lsm => "lsm/",
            Self::FEntry => "fentry/",
            Self::FExit => "fexit/",
            Self::SockAddr | Self::Sock => "cgroup/",
            Self::Egress | Self::Ingress => "cgroup_skb/",
        }
    }
}

/// One program on one hook.
#[derive(Debug)]
pub struct Hook {
    /// One of [`FACTS`].
    pub fact: &'static str,
    pub object: Object,
    pub program: &'static str,
    pub attach: Attach,
    /// Name of the tracepoint, function or LSM hook.
    pub target: &'static str,
    tiers: u8,
    /// Without it the sensor (or, for the file objects, the tier) does not work. The others may be missing on a
    /// kernel; the doctor and every report then name the fact.
    pub required: bool,
}

impl Hook {
    #[must_use]
    pub const fn is_on(&self, tier: Tier) -> bool {
        self.tiers & tier as u8 != 0
    }

    /// `tp_btf/task_newtask`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}{}", self.attach.prefix(), self.target)
    }
}

const fn needed(
    fact: &'static str,
    tiers: u8,
    object: Object,
    attach: Attach,
    target: &'static str,
    program: &'static str,
) -> Hook {
    Hook { fact, object, program, attach, target, tiers, required: true }
}

const fn hook(
    fact: &'static str,
    tiers: u8,
    object: Object,
    attach: Attach,
    target: &'static str,
    program: &'static str,
) -> Hook {
    Hook { required: false, ..needed(fact, tiers, object, attach, target, program) }
}

use Attach::{Egress, FEntry, FExit, Ingress, Iterator, Lsm, Sock, SockAddr, Tracepoint};
use Object::{Core, FileFentry, FileLsm, FileSyscall, Network, Packets, SocketActs, SocketTrace};

/// Every program, in the order of loading.
pub static HOOKS: &[Hook] = &[
    needed("fork", ALL, Core, Tracepoint, "task_newtask", "fork"),
    needed("exec", ALL, Core, Tracepoint, "sched_process_exec", "exec"),
    needed("exit", ALL, Core, Tracepoint, "sched_process_exit", "exit"),
    needed("cgroup move", ALL, Core, Tracepoint, "cgroup_attach_task", "cgroup_attach"),
    needed("cgroup made, removed", ALL, Core, Tracepoint, "cgroup_mkdir", "cgroup_make"),
    needed("cgroup made, removed", ALL, Core, Tracepoint, "cgroup_rmdir", "cgroup_remove"),
    needed("pre-existing process", ALL, Core, Iterator, "task", "seed"),
    needed("TCP, UDP connect", ALL, Network, SockAddr, "connect4", "connect_ipv4"),
    needed("TCP, UDP connect", ALL, Network, SockAddr, "connect6", "connect_ipv6"),
    needed("UDP destination", ALL, Network, SockAddr, "sendmsg4", "send_ipv4"),
    needed("UDP destination", ALL, Network, SockAddr, "sendmsg6", "send_ipv6"),
    hook("bind", ALL, Network, Sock, "post_bind4", "bound_ipv4"),
    hook("bind", ALL, Network, Sock, "post_bind6", "bound_ipv6"),
    hook("owner of a socket", ALL, Network, Sock, "sock_create", "socket_created"),
    hook("outcome of a TCP connect", ALL, SocketTrace, Tracepoint, "inet_sock_set_state", "socket_state"),
    hook("DNS and TLS names", ALL, Packets, Egress, "egress", "packet_out"),
    hook("DNS and TLS names", ALL, Packets, Ingress, "ingress", "packet_in"),
    hook("socket made", AB, SocketActs, FExit, "security_socket_post_create", "socket_made"),
    hook("accept", AB, SocketActs, FExit, "security_sock_graft", "accepted"),
    hook("unix connect", AB, SocketActs, FExit, "security_unix_stream_connect", "unix_connected"),
    hook("unix datagram", AB, SocketActs, FExit, "security_unix_may_send", "unix_sent"),
    hook("descriptor received", AB, SocketActs, FExit, "security_file_receive", "received"),
    needed("file open, create", A, FileLsm, Lsm, "file_open", "lsm_open"),
    needed("file unlink", A, FileLsm, Lsm, "path_unlink", "lsm_unlink"),
    needed("file unlink", A, FileLsm, Lsm, "path_rmdir", "lsm_rmdir"),
    needed("file rename", A, FileLsm, Lsm, "path_rename", "lsm_rename"),
    needed("file open, create", B, FileFentry, FEntry, "security_file_open", "fentry_open"),
    needed("file unlink", B, FileFentry, FEntry, "security_path_unlink", "fentry_unlink"),
    needed("file unlink", B, FileFentry, FEntry, "security_path_rmdir", "fentry_rmdir"),
    needed("file rename", B, FileFentry, FEntry, "security_path_rename", "fentry_rename"),
    needed("file open, create", C, FileSyscall, Tracepoint, "sys_exit", "sys_exit"),
];

/// Facts that come from a hook named for another fact: tier, fact, whose hook.
pub static ALONG: &[(Tier, &str, &str)] = &[
    (Tier::C, "file unlink", "file open, create"),
    (Tier::C, "file rename", "file open, create"),
    (Tier::A, "TCP listen", "outcome of a TCP connect"),
    (Tier::B, "TCP listen", "outcome of a TCP connect"),
    (Tier::C, "TCP listen", "outcome of a TCP connect"),
];

/// One kind of fact, and what its hooks do not tell, by tier (A, B, C).
#[derive(Debug)]
pub struct FactRow {
    pub name: &'static str,
    pub lost: [Option<&'static str>; 3],
}

const fn fact(name: &'static str, lost: Option<&'static str>) -> FactRow {
    FactRow { name, lost: [lost; 3] }
}

const NO_TRAMPOLINE: Option<&str> = Some("all of it");
const NOT_INET: Option<&str> = Some("families other than IPv4 and IPv6");
const NO_LISTENER: Option<&str> = Some("connects to a name where nobody listens");
const NO_OWNER: Option<&str> =
    Some("the process behind a socket that was only bound; datagrams over SOCK_SEQPACKET");
const NO_COOKIE: Option<&str> = Some("the packets of a socket that had no traffic before it came in");
const LATER: Option<&str> = Some("whether a later check or the file system refused it");
const ARGUMENT: Option<&str> =
    Some("the object: only the path that the program passed; io_uring; 32-bit calls");

/// Every fact, in the order of the documents.
pub static FACTS: &[FactRow] = &[
    fact("fork", None),
    fact("exec", None),
    fact("exit", None),
    fact("cgroup move", Some("who wrote to cgroup.procs")),
    fact("cgroup made, removed", None),
    fact("pre-existing process", Some("argv comes from procfs, as the process shows it now")),
    fact("TCP, UDP connect", None),
    fact("UDP destination", Some("datagrams on connected sockets")),
    fact(
        "outcome of a TCP connect",
        Some("connects refused before a packet was sent (no route); two ends that connect to each other"),
    ),
    fact("TCP listen", Some("the port, where listen(2) chose it")),
    fact("bind", Some("refused binds; ports that the kernel chose without a bind(2)")),
    fact("owner of a socket", Some("sockets beyond 65 536: the longest unused are forgotten")),
    fact(
        "DNS and TLS names",
        Some(
            "DNS at ports other than 53; what is encrypted; the process, for sockets made before the run; a name \
             behind the first segment of a message or behind IPv6 extension headers",
        ),
    ),
    FactRow { name: "socket made", lost: [None, None, NO_TRAMPOLINE] },
    FactRow { name: "accept", lost: [NOT_INET, NOT_INET, NO_TRAMPOLINE] },
    FactRow { name: "unix connect", lost: [NO_LISTENER, NO_LISTENER, NO_TRAMPOLINE] },
    FactRow { name: "unix datagram", lost: [NO_OWNER, NO_OWNER, NO_TRAMPOLINE] },
    FactRow { name: "descriptor received", lost: [NO_COOKIE, NO_COOKIE, NO_TRAMPOLINE] },
    FactRow {
        name: "file open, create",
        lost: [LATER, LATER, Some("refused opens; opens by io_uring; 32-bit calls")],
    },
    FactRow { name: "file unlink", lost: [LATER, LATER, ARGUMENT] },
    FactRow { name: "file rename", lost: [LATER, LATER, ARGUMENT] },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ALONG, FACTS, HOOKS, Tier};

    #[test]
    fn hooks_and_facts_belong_to_each_other() {
        let names: HashSet<&str> = FACTS.iter().map(|fact| fact.name).collect();
        assert_eq!(names.len(), FACTS.len(), "each fact stands once");
        for hook in HOOKS {
            assert!(
                names.contains(hook.fact),
                "{} is for a fact that has no row: {}",
                hook.program,
                hook.fact
            );
        }
        for fact in FACTS {
            for (index, tier) in Tier::ALL.into_iter().enumerate() {
                let seen = HOOKS.iter().any(|hook| hook.fact == fact.name && hook.is_on(tier))
                    || ALONG.iter().any(|(on, name, _)| *on == tier && *name == fact.name);
                assert!(
                    seen || fact.lost[index].is_some(),
                    "{} is not seen on tier {}, and nothing says so",
                    fact.name,
                    tier.letter()
                );
            }
        }
    }
}
