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

use Attach::{FEntry, FExit, Iterator, Lsm, SockAddr, Tracepoint};
use Object::{Core, FileFentry, FileLsm, FileSyscall, KernelTrace, Network, ProcessActs};

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
    needed("file open, create", C, FileSyscall, Tracepoint, "sys_exit", "sys_exit"),
    hook("signal", ALL, KernelTrace, Tracepoint, "signal_generate", "send_signal"),
    hook("kernel module", ALL, KernelTrace, Tracepoint, "module_load", "load_module"),
    hook("io_uring", ALL, KernelTrace, Tracepoint, "io_uring_create", "make_ring"),
    hook("io_uring request", C, KernelTrace, Tracepoint, "io_uring_submit_req", "submit_request"),
    hook("ptrace, process access", AB, ProcessActs, FExit, "security_ptrace_access_check", "access_check"),
    hook("ptrace, process access", AB, ProcessActs, FExit, "security_ptrace_traceme", "trace_me"),
    hook("bpf call", AB, ProcessActs, FExit, "security_bpf", "bpf_call"),
    hook("perf_event_open", AB, ProcessActs, FExit, "__x64_sys_perf_event_open", "perf_open"),
    hook("mount, unmount", AB, ProcessActs, FExit, "security_sb_mount", "mount"),
    hook("mount, unmount", AB, ProcessActs, FExit, "security_move_mount", "move_mount"),
    hook("mount, unmount", AB, ProcessActs, FExit, "security_sb_umount", "unmount"),
    hook("chroot, pivot_root", AB, ProcessActs, FExit, "security_path_chroot", "change_root"),
    hook("chroot, pivot_root", AB, ProcessActs, FExit, "security_sb_pivotroot", "pivot_root"),
    hook("namespaces", AB, ProcessActs, FExit, "ksys_unshare", "unshare"),
    hook("namespaces", AB, ProcessActs, FExit, "__x64_sys_setns", "setns"),
    hook("credentials", AB, ProcessActs, FEntry, "commit_creds", "commit_creds"),
];

/// Facts that come from a hook named for another fact: tier, fact, whose hook.
pub static ALONG: &[(Tier, &str, &str)] = &[
    (Tier::C, "file unlink", "file open, create"),
    (Tier::C, "file rename", "file open, create"),
    (Tier::C, "namespaces", "fork"),
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

const LATER: Option<&str> = Some("whether a later check or the file system refused it");
const ARGUMENT: Option<&str> =
    Some("the object: only the path that the program passed; io_uring; 32-bit calls");
const NONE: Option<&str> = Some("all of it");
const UNFINISHED: Option<&str> = Some("whether a later check refused it");
const THE_ACT: Option<&str> = Some("the request itself: what it does is told like any other act");
const OWNER: Option<&str> = Some("what was refused for the owner or for want of a capability");
const COMPAT: Option<&str> = Some("32-bit calls");
const MOUNT: Option<&str> =
    Some("whether a later check or the file system refused it; the source of a moved mount");
const SETNS: Option<&str> = Some("which namespace setns entered, where its caller did not say; 32-bit setns");
const GRANTED: Option<&str> = Some("refused changes; lost capabilities");

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
    FactRow {
        name: "file open, create",
        lost: [LATER, LATER, Some("refused opens; opens by io_uring; 32-bit calls")],
    },
    FactRow { name: "file unlink", lost: [LATER, LATER, ARGUMENT] },
    FactRow { name: "file rename", lost: [LATER, LATER, ARGUMENT] },
    fact("signal", Some("refused signals")),
    fact(
        "kernel module",
        Some("refused loads; modules that the kernel loads by itself for an act of the run"),
    ),
    fact("io_uring", Some("refused rings")),
    FactRow {
        name: "io_uring request",
        lost: [
            THE_ACT,
            THE_ACT,
            Some(
                "its result; the object: only the path that the program passed, of a rename the old one; requests that move data",
            ),
        ],
    },
    FactRow { name: "ptrace, process access", lost: [OWNER, OWNER, NONE] },
    FactRow { name: "bpf call", lost: [UNFINISHED, UNFINISHED, NONE] },
    FactRow { name: "perf_event_open", lost: [COMPAT, COMPAT, NONE] },
    FactRow { name: "mount, unmount", lost: [MOUNT, MOUNT, NONE] },
    FactRow { name: "chroot, pivot_root", lost: [UNFINISHED, UNFINISHED, NONE] },
    FactRow {
        name: "namespaces",
        lost: [SETNS, SETNS, Some("unshare and setns: only births into new ones")],
    },
    FactRow { name: "credentials", lost: [GRANTED, GRANTED, Some("all but the ids at exec")] },
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
