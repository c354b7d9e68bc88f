//! The one table of hooks: which fact, from which program, on which kernel hook, on which tiers.
//! Loading, attaching, `sentry doctor` and `docs/hooks.md` all read it.

use sentry_common::{fact::Fact, family};

use super::objects::Object;

/// The tiers, by what the kernel offers; each is one bit.
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

/// The kind of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// `tp_btf`: a tracepoint with typed arguments.
    Tracepoint,
    /// The same, but not attached: the attached program of the hook calls it, by this index of its
    /// table.
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
    pub fact: Fact,
    pub object: Object,
    pub program: &'static str,
    pub attach: Attach,
    /// Name of the tracepoint, function or LSM hook.
    pub target: &'static str,
    tiers: u8,
    /// Whether the sensor (for the file objects: the tier) needs it to work. A kernel may lack the
    /// others: then the doctor and every report name the fact.
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
    fact: Fact,
    tiers: u8,
    object: Object,
    attach: Attach,
    target: &'static str,
    program: &'static str,
) -> Hook {
    Hook { fact, object, program, attach, target, tiers, required: true }
}

const fn hook(
    fact: Fact,
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
    needed(Fact::Fork, ALL, Core, Tracepoint, "task_newtask", "fork"),
    needed(Fact::Exec, ALL, Core, Tracepoint, "sched_process_exec", "exec"),
    needed(Fact::Exit, ALL, Core, Tracepoint, "sched_process_exit", "exit"),
    needed(Fact::CgroupMove, ALL, Core, Tracepoint, "cgroup_attach_task", "cgroup_attach"),
    needed(Fact::CgroupChange, ALL, Core, Tracepoint, "cgroup_mkdir", "cgroup_make"),
    needed(Fact::CgroupChange, ALL, Core, Tracepoint, "cgroup_rmdir", "cgroup_remove"),
    needed(Fact::PreExisting, ALL, Core, Iterator, "task", "seed"),
    needed(Fact::Connect, ALL, Network, SockAddr, "connect4", "connect_ipv4"),
    needed(Fact::Connect, ALL, Network, SockAddr, "connect6", "connect_ipv6"),
    needed(Fact::Send, ALL, Network, SockAddr, "sendmsg4", "send_ipv4"),
    needed(Fact::Send, ALL, Network, SockAddr, "sendmsg6", "send_ipv6"),
    hook(Fact::Bind, ALL, Network, Sock, "post_bind4", "bound_ipv4"),
    hook(Fact::Bind, ALL, Network, Sock, "post_bind6", "bound_ipv6"),
    hook(Fact::SocketOwner, ALL, Network, Sock, "sock_create", "socket_created"),
    hook(Fact::ConnectOutcome, ALL, SocketTrace, Tracepoint, "inet_sock_set_state", "socket_state"),
    hook(Fact::Names, ALL, Packets, Egress, "egress", "packet_out"),
    hook(Fact::Names, ALL, Packets, Ingress, "ingress", "packet_in"),
    hook(Fact::SocketMade, AB, SocketActs, FExit, "security_socket_post_create", "socket_made"),
    hook(Fact::Accept, AB, SocketActs, FExit, "security_sock_graft", "accepted"),
    hook(Fact::UnixConnect, AB, SocketActs, FExit, "security_unix_stream_connect", "unix_connected"),
    hook(Fact::UnixDatagram, AB, SocketActs, FExit, "security_unix_may_send", "unix_sent"),
    hook(Fact::DescriptorReceived, AB, SocketActs, FExit, "security_file_receive", "received"),
    needed(Fact::FileOpen, A, FileLsm, Lsm, "file_open", "lsm_open"),
    needed(Fact::FileUnlink, A, FileLsm, Lsm, "path_unlink", "lsm_unlink"),
    needed(Fact::FileUnlink, A, FileLsm, Lsm, "path_rmdir", "lsm_rmdir"),
    needed(Fact::FileRename, A, FileLsm, Lsm, "path_rename", "lsm_rename"),
    needed(Fact::FileOpen, B, FileFentry, FEntry, "security_file_open", "fentry_open"),
    needed(Fact::FileUnlink, B, FileFentry, FEntry, "security_path_unlink", "fentry_unlink"),
    needed(Fact::FileUnlink, B, FileFentry, FEntry, "security_path_rmdir", "fentry_rmdir"),
    needed(Fact::FileRename, B, FileFentry, FEntry, "security_path_rename", "fentry_rename"),
    hook(Fact::FileLink, AB, FileActs, FExit, "security_path_link", "link"),
    hook(Fact::FileSymlink, AB, FileActs, FExit, "security_path_symlink", "symlink"),
    hook(Fact::FileMkdir, AB, FileActs, FExit, "security_path_mkdir", "make_directory"),
    hook(Fact::FileMknod, AB, FileActs, FExit, "security_path_mknod", "make_node"),
    hook(Fact::FileTruncate, AB, FileActs, FExit, "security_path_truncate", "truncate"),
    hook(Fact::FileTruncate, AB, FileActs, FExit, "security_file_truncate", "truncate_open"),
    hook(Fact::FileMode, AB, FileActs, FExit, "security_path_chmod", "change_mode"),
    hook(Fact::FileMode, AB, FileActs, FExit, "security_path_chown", "change_owner"),
    hook(Fact::FileAttribute, AB, FileActs, FExit, "security_inode_setxattr", "set_attribute"),
    hook(Fact::FileAttribute, AB, FileActs, FExit, "security_inode_set_acl", "set_acl"),
    hook(Fact::FileAttribute, AB, FileActs, FExit, "security_inode_removexattr", "remove_attribute"),
    hook(Fact::FileAttribute, AB, FileActs, FExit, "security_inode_remove_acl", "remove_acl"),
    hook(Fact::MemoryMapping, AB, FileActs, FExit, "security_mmap_file", "map"),
    hook(Fact::MemoryMapping, AB, FileActs, FExit, "security_file_mprotect", "protect"),
    hook(Fact::FileCopy, AB, FileActs, FExit, "vfs_copy_file_range", "copy"),
    hook(Fact::FileCopy, AB, FileActs, FExit, "vfs_clone_file_range", "clone"),
    hook(Fact::FileAllocate, AB, FileActs, FExit, "vfs_fallocate", "allocate"),
    hook(Fact::FileClose, AB, FileActs, FEntry, "__fput", "last_close"),
    hook(Fact::ScriptOfExec, AB, FileActs, FExit, "security_bprm_check", "script"),
    hook(Fact::FailedExec, AB, FileActs, FExit, "__x64_sys_execve", "exec_failed"),
    hook(Fact::FailedExec, AB, FileActs, FExit, "__x64_sys_execveat", "exec_at_failed"),
    hook(Fact::FailedExec, AB, FileActs, FExit, "__ia32_compat_sys_execve", "compat_exec_failed"),
    hook(Fact::FailedExec, AB, FileActs, FExit, "__ia32_compat_sys_execveat", "compat_exec_at_failed"),
    hook(Fact::Signal, ALL, KernelTrace, Tracepoint, "signal_generate", "send_signal"),
    hook(Fact::KernelModule, ALL, KernelTrace, Tracepoint, "module_load", "load_module"),
    hook(Fact::IoRing, ALL, KernelTrace, Tracepoint, "io_uring_create", "make_ring"),
    hook(Fact::IoOperation, C, KernelTrace, Tracepoint, "io_uring_submit_req", "submit_request"),
    hook(Fact::Fork, AB, ProcessActs, FExit, "kernel_clone", "birth_refused"),
    hook(Fact::Fork, AB, ProcessActs, FExit, "create_io_thread", "worker_refused"),
    hook(Fact::ProcessAccess, AB, ProcessActs, FExit, "security_ptrace_access_check", "access_check"),
    hook(Fact::ProcessAccess, AB, ProcessActs, FExit, "security_ptrace_traceme", "trace_me"),
    hook(Fact::Bpf, AB, ProcessActs, FExit, "security_bpf", "bpf_call"),
    hook(Fact::PerfOpen, AB, ProcessActs, FExit, "__x64_sys_perf_event_open", "perf_open"),
    hook(Fact::Mount, AB, ProcessActs, FExit, "security_sb_mount", "mount"),
    hook(Fact::Mount, AB, ProcessActs, FExit, "security_move_mount", "move_mount"),
    hook(Fact::Mount, AB, ProcessActs, FExit, "security_sb_umount", "unmount"),
    hook(Fact::ChangeRoot, AB, ProcessActs, FExit, "security_path_chroot", "change_root"),
    hook(Fact::ChangeRoot, AB, ProcessActs, FExit, "security_sb_pivotroot", "pivot_root"),
    hook(Fact::Watch, AB, ProcessActs, FExit, "security_path_notify", "watch"),
    hook(Fact::Namespaces, AB, ProcessActs, FExit, "ksys_unshare", "unshare"),
    hook(Fact::Namespaces, AB, ProcessActs, FExit, "__x64_sys_setns", "setns"),
    hook(Fact::Credentials, AB, ProcessActs, FEntry, "commit_creds", "commit_creds"),
    needed(Fact::FileOpen, C, FileSyscall, TailCall(family::OPEN), "sys_exit", "call_open"),
    hook(Fact::FileRename, C, FileSyscall, TailCall(family::NAME), "sys_exit", "call_name"),
    hook(Fact::FileTruncate, C, FileSyscall, TailCall(family::FILE), "sys_exit", "call_file"),
    hook(Fact::MemoryMapping, C, FileSyscall, TailCall(family::MEMORY), "sys_exit", "call_memory"),
    hook(Fact::FileAttribute, C, FileSyscall, TailCall(family::ATTRIBUTE), "sys_exit", "call_attribute"),
    hook(Fact::FailedExec, C, FileSyscall, TailCall(family::EXEC), "sys_exit", "call_exec"),
    hook(Fact::SocketMade, C, FileSyscall, TailCall(family::SOCKET), "sys_exit", "call_socket"),
    hook(Fact::UnixConnect, C, FileSyscall, TailCall(family::UNIX), "sys_exit", "call_unix"),
    hook(Fact::ProcessAccess, C, FileSyscall, TailCall(family::TARGET), "sys_exit", "call_target"),
    hook(Fact::Bpf, C, FileSyscall, TailCall(family::KERNEL), "sys_exit", "call_kernel"),
    hook(Fact::Mount, C, FileSyscall, TailCall(family::MOUNT), "sys_exit", "call_mount"),
    // This one is attached; it calls the others.
    needed(Fact::FileOpen, C, FileSyscall, Tracepoint, "sys_exit", "sys_exit"),
];

/// Facts that are reported by the hook of another fact: tier, fact, the other fact.
pub static ALONG: &[(Tier, Fact, Fact)] = &[
    (Tier::A, Fact::Listen, Fact::ConnectOutcome),
    (Tier::B, Fact::Listen, Fact::ConnectOutcome),
    (Tier::C, Fact::Listen, Fact::ConnectOutcome),
    (Tier::A, Fact::RawSend, Fact::Names),
    (Tier::B, Fact::RawSend, Fact::Names),
    (Tier::C, Fact::RawSend, Fact::Names),
    (Tier::C, Fact::FileUnlink, Fact::FileRename),
    (Tier::C, Fact::FileLink, Fact::FileRename),
    (Tier::C, Fact::FileSymlink, Fact::FileRename),
    (Tier::C, Fact::FileMkdir, Fact::FileRename),
    (Tier::C, Fact::FileMknod, Fact::FileRename),
    (Tier::C, Fact::FileMode, Fact::FileTruncate),
    (Tier::C, Fact::FileCopy, Fact::FileTruncate),
    (Tier::C, Fact::FileAllocate, Fact::FileTruncate),
    (Tier::C, Fact::Accept, Fact::SocketMade),
    (Tier::C, Fact::PerfOpen, Fact::Bpf),
    (Tier::C, Fact::Namespaces, Fact::Bpf),
    (Tier::C, Fact::Credentials, Fact::Bpf),
    (Tier::C, Fact::ChangeRoot, Fact::Mount),
    (Tier::C, Fact::Watch, Fact::Mount),
];

#[cfg(test)]
mod tests {
    use super::{super::facts::lost, ALONG, Fact, HOOKS, Tier};

    #[test]
    fn what_is_not_seen_on_a_tier_is_said_to_be_lost() {
        for fact in Fact::ALL {
            for tier in Tier::ALL {
                let seen = HOOKS.iter().any(|hook| hook.fact == *fact && hook.is_on(tier))
                    || ALONG.iter().any(|(on, along, _)| *on == tier && along == fact);
                assert!(
                    seen || lost(*fact, tier).is_some(),
                    "{} is not seen on tier {}, and no limit names it",
                    fact.name(),
                    tier.letter()
                );
            }
        }
    }
}
