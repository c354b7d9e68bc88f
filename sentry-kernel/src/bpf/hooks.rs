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
            Self::SockAddr | Self::Sock => "cgroup/",
            Self::Egress | Self::Ingress => "cgroup_skb/",
        }
    }
}

/// One program on one hook.
#[derive(Debug)]
pub struct Hook {
    /// One of [`super::facts::FACTS`].
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

use Attach::{Egress, FEntry, FExit, Ingress, Iterator, Lsm, Sock, SockAddr, TailCall, Tracepoint};
use Object::{
    Core, FileActs, FileFentry, FileLsm, FileSyscall, KernelTrace, Network, Packets, ProcessActs, SocketActs,
    SocketTrace,
};

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
    hook("file link", AB, FileActs, FExit, "security_path_link", "link"),
    hook("file symlink", AB, FileActs, FExit, "security_path_symlink", "symlink"),
    hook("file mkdir", AB, FileActs, FExit, "security_path_mkdir", "make_directory"),
    hook("file mknod", AB, FileActs, FExit, "security_path_mknod", "make_node"),
    hook("file truncate", AB, FileActs, FExit, "security_path_truncate", "truncate"),
    hook("file truncate", AB, FileActs, FExit, "security_file_truncate", "truncate_open"),
    hook("file mode, owner", AB, FileActs, FExit, "security_path_chmod", "change_mode"),
    hook("file mode, owner", AB, FileActs, FExit, "security_path_chown", "change_owner"),
    hook("file attribute", AB, FileActs, FExit, "security_inode_setxattr", "set_attribute"),
    hook("file attribute", AB, FileActs, FExit, "security_inode_set_acl", "set_acl"),
    hook("file attribute", AB, FileActs, FExit, "security_inode_removexattr", "remove_attribute"),
    hook("file attribute", AB, FileActs, FExit, "security_inode_remove_acl", "remove_acl"),
    hook("memory mapping", AB, FileActs, FExit, "security_mmap_file", "map"),
    hook("memory mapping", AB, FileActs, FExit, "security_file_mprotect", "protect"),
    hook("file copy", AB, FileActs, FExit, "vfs_copy_file_range", "copy"),
    hook("file copy", AB, FileActs, FExit, "vfs_clone_file_range", "clone"),
    hook("file allocate", AB, FileActs, FExit, "vfs_fallocate", "allocate"),
    hook("file close", AB, FileActs, FEntry, "__fput", "last_close"),
    hook("script of an exec", AB, FileActs, FExit, "security_bprm_check", "script"),
    hook("failed exec", AB, FileActs, FExit, "__x64_sys_execve", "exec_failed"),
    hook("failed exec", AB, FileActs, FExit, "__x64_sys_execveat", "exec_at_failed"),
    hook("failed exec", AB, FileActs, FExit, "__ia32_compat_sys_execve", "compat_exec_failed"),
    hook("failed exec", AB, FileActs, FExit, "__ia32_compat_sys_execveat", "compat_exec_at_failed"),
    hook("signal", ALL, KernelTrace, Tracepoint, "signal_generate", "send_signal"),
    hook("kernel module", ALL, KernelTrace, Tracepoint, "module_load", "load_module"),
    hook("io_uring", ALL, KernelTrace, Tracepoint, "io_uring_create", "make_ring"),
    hook("io_uring request", C, KernelTrace, Tracepoint, "io_uring_submit_req", "submit_request"),
    hook("fork", AB, ProcessActs, FExit, "kernel_clone", "birth_refused"),
    hook("fork", AB, ProcessActs, FExit, "create_io_thread", "worker_refused"),
    hook("ptrace, process access", AB, ProcessActs, FExit, "security_ptrace_access_check", "access_check"),
    hook("ptrace, process access", AB, ProcessActs, FExit, "security_ptrace_traceme", "trace_me"),
    hook("bpf call", AB, ProcessActs, FExit, "security_bpf", "bpf_call"),
    hook("perf_event_open", AB, ProcessActs, FExit, "__x64_sys_perf_event_open", "perf_open"),
    hook("mount, unmount", AB, ProcessActs, FExit, "security_sb_mount", "mount"),
    hook("mount, unmount", AB, ProcessActs, FExit, "security_move_mount", "move_mount"),
    hook("mount, unmount", AB, ProcessActs, FExit, "security_sb_umount", "unmount"),
    hook("chroot, pivot_root", AB, ProcessActs, FExit, "security_path_chroot", "change_root"),
    hook("chroot, pivot_root", AB, ProcessActs, FExit, "security_sb_pivotroot", "pivot_root"),
    hook("fanotify mark", AB, ProcessActs, FExit, "security_path_notify", "watch"),
    hook("namespaces", AB, ProcessActs, FExit, "ksys_unshare", "unshare"),
    hook("namespaces", AB, ProcessActs, FExit, "__x64_sys_setns", "setns"),
    hook("credentials", AB, ProcessActs, FEntry, "commit_creds", "commit_creds"),
    needed("file open, create", C, FileSyscall, TailCall(family::OPEN), "sys_exit", "call_open"),
    hook("file rename", C, FileSyscall, TailCall(family::NAME), "sys_exit", "call_name"),
    hook("file truncate", C, FileSyscall, TailCall(family::FILE), "sys_exit", "call_file"),
    hook("memory mapping", C, FileSyscall, TailCall(family::MEMORY), "sys_exit", "call_memory"),
    hook("file attribute", C, FileSyscall, TailCall(family::ATTRIBUTE), "sys_exit", "call_attribute"),
    hook("failed exec", C, FileSyscall, TailCall(family::EXEC), "sys_exit", "call_exec"),
    hook("socket made", C, FileSyscall, TailCall(family::SOCKET), "sys_exit", "call_socket"),
    hook("unix connect", C, FileSyscall, TailCall(family::UNIX), "sys_exit", "call_unix"),
    hook("ptrace, process access", C, FileSyscall, TailCall(family::TARGET), "sys_exit", "call_target"),
    hook("bpf call", C, FileSyscall, TailCall(family::KERNEL), "sys_exit", "call_kernel"),
    hook("mount, unmount", C, FileSyscall, TailCall(family::MOUNT), "sys_exit", "call_mount"),
    // The one that is attached; it calls the others.
    needed("file open, create", C, FileSyscall, Tracepoint, "sys_exit", "sys_exit"),
];

/// Facts that come from a hook named for another fact: tier, fact, whose hook.
pub static ALONG: &[(Tier, &str, &str)] = &[
    (Tier::A, "TCP listen", "outcome of a TCP connect"),
    (Tier::B, "TCP listen", "outcome of a TCP connect"),
    (Tier::C, "TCP listen", "outcome of a TCP connect"),
    (Tier::A, "ICMP, raw destination", "DNS and TLS names"),
    (Tier::B, "ICMP, raw destination", "DNS and TLS names"),
    (Tier::C, "ICMP, raw destination", "DNS and TLS names"),
    (Tier::C, "file unlink", "file rename"),
    (Tier::C, "file link", "file rename"),
    (Tier::C, "file symlink", "file rename"),
    (Tier::C, "file mkdir", "file rename"),
    (Tier::C, "file mknod", "file rename"),
    (Tier::C, "file mode, owner", "file truncate"),
    (Tier::C, "file copy", "file truncate"),
    (Tier::C, "file allocate", "file truncate"),
    (Tier::C, "accept", "socket made"),
    (Tier::C, "perf_event_open", "bpf call"),
    (Tier::C, "namespaces", "bpf call"),
    (Tier::C, "credentials", "bpf call"),
    (Tier::C, "chroot, pivot_root", "mount, unmount"),
    (Tier::C, "fanotify mark", "mount, unmount"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::facts::FACTS, ALONG, HOOKS, Tier};

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
