//! Kernel struct offsets that the programs need. The sensor resolves them from
//! `/sys/kernel/btf/vmlinux` and patches them into the read-only global [`GLOBAL`] before the
//! programs load; each is an index into it.

/// Marks a field that this kernel does not have. Programs that need it are not loaded.
pub const ABSENT: u32 = u32::MAX;

/// Name of the global array in the BPF objects: of each field the offset, and the kernel's number
/// for the structure that it is in.
pub const GLOBAL: &str = "OFFSETS";

/// No number of any structure: the field is read by a helper.
pub const UNTYPED: u32 = 0;

/// Stands in the programs where a call of `bpf_rdonly_cast` has the function's number: the loader
/// replaces it. Aligned to eight bytes, behind [`CALL`].
pub const CAST: u32 = 0x5ca5_7a7e;

/// The first half of the instruction that calls a function of the kernel by its number.
pub const CALL: u32 = 0x0000_2085;

/// Structures of features that a kernel may be built without (modules, io_uring). Their fields stay
/// [`ABSENT`] there, and the programs that read them have no hook to run on.
pub const OF_OPTIONAL_FEATURES: [&str; 6] =
    ["module", "io_kiocb", "io_open", "io_unlink", "io_rename", "io_mkdir"];

/// What a field was called before (until 6.13).
pub const EARLIER_NAMES: [(usize, &str); 1] = [(DENTRY_INLINE_NAME, "d_iname")];

macro_rules! offsets {
    ($($name:ident = $type:literal . $($field:literal).+ ;)+) => {
        offsets!(@count 0u32; $($name)+);
        /// What each offset is: struct, path of fields in it.
        pub const FIELDS: [(&str, &[&str]); COUNT] = [$(($type, &[$($field),+])),+];
    };
    (@count $n:expr; $head:ident $($tail:ident)*) => {
        pub const $head: usize = ($n) as usize;
        offsets!(@count $n + 1; $($tail)*);
    };
    (@count $n:expr;) => {
        /// Number of offsets.
        pub const COUNT: usize = ($n) as usize;
    };
}

offsets! {
    TASK_PID = "task_struct"."pid";
    TASK_TGID = "task_struct"."tgid";
    TASK_GROUP_LEADER = "task_struct"."group_leader";
    TASK_REAL_PARENT = "task_struct"."real_parent";
    TASK_START_BOOT = "task_struct"."start_boottime";
    TASK_STATE = "task_struct"."__state";
    TASK_EXIT_CODE = "task_struct"."exit_code";
    TASK_BPF_STORAGE = "task_struct"."bpf_storage";
    TASK_SIGNAL = "task_struct"."signal";
    TASK_CRED = "task_struct"."cred";
    TASK_MM = "task_struct"."mm";
    TASK_FS = "task_struct"."fs";
    TASK_FILES = "task_struct"."files";
    TASK_CGROUPS = "task_struct"."cgroups";
    SIGNAL_LIVE = "signal_struct"."live";
    SIGNAL_FLAGS = "signal_struct"."flags";
    SIGNAL_GROUP_EXIT_CODE = "signal_struct"."group_exit_code";
    CRED_UID = "cred"."uid";
    CRED_GID = "cred"."gid";
    CRED_EUID = "cred"."euid";
    MM_ARG_START = "mm_struct"."arg_start";
    MM_ARG_END = "mm_struct"."arg_end";
    MM_EXE_FILE = "mm_struct"."exe_file";
    FS_PWD = "fs_struct"."pwd";
    FILES_FDT = "files_struct"."fdt";
    FDT_FD = "fdtable"."fd";
    FDT_MAX_FDS = "fdtable"."max_fds";
    KIOCB_FILE = "kiocb"."ki_filp";
    FILE_PATH = "file"."f_path";
    FILE_INODE = "file"."f_inode";
    FILE_FLAGS = "file"."f_flags";
    FILE_MODE = "file"."f_mode";
    PATH_MNT = "path"."mnt";
    PATH_DENTRY = "path"."dentry";
    DENTRY_NAME = "dentry"."d_name"."name";
    DENTRY_LENGTH = "dentry"."d_name"."len";
    DENTRY_INLINE_NAME = "dentry"."d_shortname";
    DENTRY_PARENT = "dentry"."d_parent";
    DENTRY_INODE = "dentry"."d_inode";
    INODE_NUMBER = "inode"."i_ino";
    INODE_SB = "inode"."i_sb";
    INODE_GENERATION = "inode"."i_generation";
    INODE_LINKS = "inode"."i_nlink";
    INODE_MODE = "inode"."i_mode";
    INODE_SIZE = "inode"."i_size";
    SB_DEVICE = "super_block"."s_dev";
    VFSMOUNT_ROOT = "vfsmount"."mnt_root";
    MOUNT_MNT = "mount"."mnt";
    MOUNT_PARENT = "mount"."mnt_parent";
    MOUNT_MOUNTPOINT = "mount"."mnt_mountpoint";
    VMA_FILE = "vm_area_struct"."vm_file";
    VMA_FLAGS = "vm_area_struct"."vm_flags";
    BPRM_FILE = "linux_binprm"."file";
    BPRM_FILENAME = "linux_binprm"."filename";
    BPRM_INTERP = "linux_binprm"."interp";
    CSS_SET_DFL_CGRP = "css_set"."dfl_cgrp";
    CGROUP_KN = "cgroup"."kn";
    KN_ID = "kernfs_node"."id";
    KN_NAME = "kernfs_node"."name";
    CGROUP_ROOT = "cgroup"."root";
    TASK_COMM = "task_struct"."comm";
    CGROUP_PARENT = "cgroup"."self"."parent";
    REGS_BX = "pt_regs"."bx";
    REGS_CX = "pt_regs"."cx";
    TASK_PID_LINKS = "task_struct"."pid_links";
    PID_TASKS = "pid"."tasks";
    PID_NUMBERS = "pid"."numbers";
    SK_FAMILY = "sock"."__sk_common"."skc_family";
    SK_REMOTE_PORT = "sock"."__sk_common"."skc_dport";
    SK_LOCAL_PORT = "sock"."__sk_common"."skc_num";
    SK_REMOTE_V4 = "sock"."__sk_common"."skc_daddr";
    SK_LOCAL_V4 = "sock"."__sk_common"."skc_rcv_saddr";
    SK_REMOTE_V6 = "sock"."__sk_common"."skc_v6_daddr";
    SK_LOCAL_V6 = "sock"."__sk_common"."skc_v6_rcv_saddr";
    SK_COOKIE = "sock"."__sk_common"."skc_cookie";
    SK_TYPE = "sock"."sk_type";
    SK_PROTOCOL = "sock"."sk_protocol";
    SK_ERROR = "sock"."sk_err";
    SK_CGROUP = "sock"."sk_cgrp_data"."cgroup";
    SK_PEER_PID = "sock"."sk_peer_pid";
    SK_PEER_CRED = "sock"."sk_peer_cred";
    SK_UID = "sock"."sk_uid";
    INET_LOCAL_PORT = "inet_sock"."inet_sport";
    SOCKET_SK = "socket"."sk";
    UNIX_ADDRESS = "unix_sock"."addr";
    UNIX_PEER = "unix_sock"."peer";
    ADDRESS_LENGTH = "unix_address"."len";
    ADDRESS_NAME = "unix_address"."name";
    FILE_PRIVATE = "file"."private_data";
    REGS_DI = "pt_regs"."di";
    REGS_SI = "pt_regs"."si";
    REGS_DX = "pt_regs"."dx";
    REGS_R10 = "pt_regs"."r10";
    REGS_ORIG_AX = "pt_regs"."orig_ax";
    REGS_BP = "pt_regs"."bp";
    REGS_R8 = "pt_regs"."r8";
    REGS_R9 = "pt_regs"."r9";
    THREAD_STATUS = "task_struct"."thread_info"."status";
    INODE_PRIVATE = "inode"."i_private";
    TASK_THREAD_PID = "task_struct"."thread_pid";
    PID_LEVEL = "pid"."level";
    CRED_CAP_EFFECTIVE = "cred"."cap_effective";
    CRED_USER_NS = "cred"."user_ns";
    MODULE_NAME = "module"."name";
    FILENAME_NAME = "filename"."name";
    IO_OPCODE = "io_kiocb"."opcode";
    IO_USER_DATA = "io_kiocb"."cqe"."user_data";
    IO_OPEN_START = "io_open"."dfd";
    IO_OPEN_NAME = "io_open"."filename";
    IO_UNLINK_START = "io_unlink"."dfd";
    IO_UNLINK_NAME = "io_unlink"."filename";
    IO_RENAME_START = "io_rename"."old_dfd";
    IO_RENAME_NAME = "io_rename"."oldpath";
    IO_MKDIR_START = "io_mkdir"."dfd";
    IO_MKDIR_NAME = "io_mkdir"."filename";
}
