//! The one table of hooks: which fact, from which program, on which kernel hook, on which tiers. Loading, attaching,
//! `sentry doctor` and `docs/hooks.md` all read it.

use sentry_common::family;

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
    /// The same, but reached from the attached program of its hook, which calls it by this index of its table.
    TailCall(u16),
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
            Self::Tracepoint | Self::TailCall(_) => "tp_btf/",
            Self::Iterator => "iter/",
            Self::Lsm => "lsm/",
            Self::FEntry => "fentry/",
            Self::FExit => "fexit/",
            Self::SockAddr | Self::Sock | Self::Egress | Self::Ingress => "cgroup/",
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

use Attach::{FEntry, Iterator, Lsm, SockAddr, TailCall, Tracepoint};
use Object::{Core, FileFentry, FileLsm, FileSyscall, Network};

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
    needed("file open, create", A, FileLsm, Lsm, "file_open", "lsm_open"),
    needed("file unlink", A, FileLsm, Lsm, "path_unlink", "lsm_unlink"),
    needed("file unlink", A, FileLsm, Lsm, "path_rmdir", "lsm_rmdir"),
    needed("file rename", A, FileLsm, Lsm, "path_rename", "lsm_rename"),
    needed("file open, create", B, FileFentry, FEntry, "security_file_open", "fentry_open"),
    needed("file unlink", B, FileFentry, FEntry, "security_path_unlink", "fentry_unlink"),
    needed("file unlink", B, FileFentry, FEntry, "security_path_rmdir", "fentry_rmdir"),
    needed("file rename", B, FileFentry, FEntry, "security_path_rename", "fentry_rename"),
    needed("file open, create", C, FileSyscall, TailCall(family::OPEN), "sys_exit", "call_open"),
    hook("file rename", C, FileSyscall, TailCall(family::NAME), "sys_exit", "call_name"),
    hook("file truncate, chmod, chown", C, FileSyscall, TailCall(family::FILE), "sys_exit", "call_file"),
    hook(
        "file mapped to write or execute",
        C,
        FileSyscall,
        TailCall(family::MEMORY),
        "sys_exit",
        "call_memory",
    ),
    hook("file attributes", C, FileSyscall, TailCall(family::ATTRIBUTE), "sys_exit", "call_attribute"),
    hook("failed exec", C, FileSyscall, TailCall(family::EXEC), "sys_exit", "call_exec"),
    hook("socket made", C, FileSyscall, TailCall(family::SOCKET), "sys_exit", "call_socket"),
    hook("unix connect", C, FileSyscall, TailCall(family::UNIX), "sys_exit", "call_unix"),
    hook(
        "ptrace, memory of another process",
        C,
        FileSyscall,
        TailCall(family::TARGET),
        "sys_exit",
        "call_target",
    ),
    hook("bpf, perf events", C, FileSyscall, TailCall(family::KERNEL), "sys_exit", "call_kernel"),
    hook("mount, unmount, chroot", C, FileSyscall, TailCall(family::MOUNT), "sys_exit", "call_mount"),
    // The one that is attached; it calls the others.
    needed("file open, create", C, FileSyscall, Tracepoint, "sys_exit", "sys_exit"),
];

/// Facts that come from a hook named for another fact: tier, fact, whose hook.
pub static ALONG: &[(Tier, &str, &str)] = &[
    (Tier::C, "file unlink", "file rename"),
    (Tier::C, "file link, symlink", "file rename"),
    (Tier::C, "mkdir, mknod", "file rename"),
    (Tier::C, "file allocate, copy in the kernel", "file truncate, chmod, chown"),
    (Tier::C, "memory made executable", "file mapped to write or execute"),
    (Tier::C, "connection accepted", "socket made"),
    (Tier::C, "credentials, namespaces", "bpf, perf events"),
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

const fn fact_on_c(name: &'static str, lost: Option<&'static str>) -> FactRow {
    FactRow { name, lost: [NOT_YET, NOT_YET, lost] }
}

const LATER: Option<&str> = Some("whether a later check or the file system refused it");
const NOT_YET: Option<&str> = Some("all of it");
const ARGUMENT: Option<&str> = Some("the object: only the path that the program passed; io_uring");
const BY_PATH: Option<&str> = Some(
    "refused calls; the object where the call names it by path: only the path that the program passed; io_uring",
);

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
    FactRow { name: "file open, create", lost: [LATER, LATER, Some("refused opens; opens by io_uring")] },
    FactRow { name: "file unlink", lost: [LATER, LATER, ARGUMENT] },
    FactRow { name: "file rename", lost: [LATER, LATER, ARGUMENT] },
    fact_on_c("file link, symlink", ARGUMENT),
    fact_on_c("mkdir, mknod", ARGUMENT),
    fact_on_c("file truncate, chmod, chown", BY_PATH),
    fact_on_c("file allocate, copy in the kernel", Some("refused calls; io_uring")),
    fact_on_c("file attributes", BY_PATH),
    fact_on_c(
        "file mapped to write or execute",
        Some("refused calls; what the kernel maps itself at an exec"),
    ),
    fact_on_c("memory made executable", Some("refused calls; which file the memory is of")),
    fact_on_c("failed exec", Some("the file: only the path that the program passed")),
    fact_on_c("socket made", Some("refused calls; io_uring; socketpair")),
    fact_on_c("connection accepted", Some("io_uring")),
    fact_on_c("unix connect", Some("refused calls; io_uring; the process behind a datagram socket")),
    fact_on_c(
        "ptrace, memory of another process",
        Some("the target, where the caller is in a pid namespace of its own; access by /proc/PID/mem"),
    ),
    fact_on_c("bpf, perf events", Some("what a bpf call was about")),
    fact_on_c("credentials, namespaces", Some("the uid before; namespaces of a clone")),
    fact_on_c("mount, unmount, chroot", Some("what the paths stood for: only the arguments")),
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
