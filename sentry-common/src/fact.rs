//! What the programs report: every fact and every kind of record.
//!
//! [`facts!`](crate::facts) is the one list. The numbers of the kinds, the decoder, the table of
//! hooks, the canary and what doctor and documents say of each tier are made from it or matched
//! against it: a fact or a kind that one of them forgets does not compile.

/// Gives every fact to the macro `$then`.
///
/// A fact has a name, which `sentry doctor` and the documents use, and the kinds of records that
/// report it; some have none of their own. A kind is a constant for the programs, a number that is
/// never reused, a name, the ring that it goes to, and how it is decoded: the variant of the
/// decoder's `Record`, with the act where acts share one, and the struct, or two that differ in
/// their length. Kinds of `own` are no fact about a run.
///
/// Numbers have ranges: 1–31 process life, 32–63 cgroups, 64–95 network, 96–127 files, 128–159 acts
/// on other processes, 160–191 acts on the kernel. Retired numbers: none.
#[macro_export]
macro_rules! facts {
    ($then:ident) => {
        $then! {
            facts {
                Fork = "fork" {
                    FORK = 1 Fork: critical, Fork ForkRecord;
                }
                Exec = "exec" {
                    EXEC = 2 Exec: critical, Exec ExecRecord;
                    /// A process outside of the run, which descends from what an asked one started,
                    /// has a new program image.
                    STARTED_OUTSIDE = 131 StartedOutside: bulk, StartedOutside ExecRecord;
                }
                ScriptOfExec = "script of an exec" {}
                FailedExec = "failed exec" {
                    /// An execve that did not happen.
                    EXEC_FAILED = 5 ExecFailed: critical, ExecFailed NameRecord;
                }
                Exit = "exit" {
                    EXIT = 3 Exit: critical, Exit ExitRecord;
                }
                CgroupMove = "cgroup move" {
                    CGROUP_MOVE = 32 CgroupMove: critical, CgroupMove CgroupRecord;
                }
                CgroupChange = "cgroup made, removed" {
                    CGROUP_MAKE = 33 CgroupMake: critical, CgroupMake CgroupRecord;
                    CGROUP_REMOVE = 34 CgroupRemove: critical, CgroupRemove CgroupRecord;
                }
                PreExisting = "pre-existing process" {
                    /// A process that was already in the cgroup when it was tagged.
                    SEED = 4 Seed: critical, Seed ExecRecord;
                }
                Connect = "TCP, UDP connect" {
                    CONNECT = 64 Connect: bulk, Connect NetworkRecord;
                }
                ConnectOutcome = "outcome of a TCP connect" {
                    CONNECTED = 67 Connected: bulk, Socket(Connected) NetworkRecord;
                }
                Send = "UDP destination" {
                    SEND = 65 Send: bulk, Send NetworkRecord;
                }
                RawSend = "ICMP, raw destination" {}
                Bind = "bind" {
                    BIND = 68 Bind: bulk, Socket(Bind) NetworkRecord;
                }
                Listen = "TCP listen" {
                    LISTEN = 69 Listen: bulk, Socket(Listen) NetworkRecord;
                }
                Accept = "accept" {
                    ACCEPT = 70 Accept: bulk, Socket(Accept) NetworkRecord;
                }
                SocketOwner = "owner of a socket" {}
                SocketMade = "socket made" {
                    SOCKET = 66 Socket: bulk, Socket(Create) NetworkRecord;
                }
                Names = "DNS and TLS names" {
                    /// First bytes of a packet that names something: DNS, TLS hello.
                    PAYLOAD = 73 Payload: bulk, Payload PayloadRecord;
                }
                UnixConnect = "unix connect" {
                    UNIX_CONNECT = 71 UnixConnect: bulk, Unix(Connect) UnixRecord;
                }
                UnixDatagram = "unix datagram" {
                    UNIX_SEND = 72 UnixSend: bulk, Unix(Send) UnixRecord;
                }
                DescriptorReceived = "descriptor received" {
                    /// A socket made outside of the run came in as a descriptor.
                    SOCKET_RECEIVED = 74 SocketReceived: bulk, Socket(Receive) NetworkRecord;
                    /// A file came in as a descriptor from another process.
                    FILE_RECEIVED = 114 FileReceived: bulk, File(Receive) FileRecord;
                }
                FileOpen = "file open, create" {
                    OPEN = 96 Open: bulk, Open FileRecord;
                }
                FileClose = "file close" {
                    /// A file that was open for writing was closed for good.
                    CLOSE_WRITTEN = 113 CloseWritten: bulk, File(CloseWritten) FileRecord;
                }
                FileUnlink = "file unlink" {
                    UNLINK = 97 Unlink: bulk, Unlink NameRecord;
                }
                FileRename = "file rename" {
                    RENAME = 98 Rename: bulk, Rename NameRecord;
                }
                FileLink = "file link" {
                    LINK = 99 Link: bulk, Name(Link) NameRecord;
                }
                FileSymlink = "file symlink" {
                    SYMLINK = 100 Symlink: bulk, Name(Symlink) NameRecord;
                }
                FileMkdir = "file mkdir" {
                    MAKE_DIRECTORY = 101 MakeDirectory: bulk, Name(MakeDirectory) NameRecord;
                }
                FileMknod = "file mknod" {
                    MAKE_NODE = 102 MakeNode: bulk, Name(MakeNode) NameRecord;
                }
                FileTruncate = "file truncate" {
                    TRUNCATE = 103 Truncate: bulk, File(Truncate) FileRecord or FileArgumentRecord;
                }
                FileMode = "file mode, owner" {
                    CHANGE_MODE = 104 ChangeMode: bulk, File(ChangeMode) FileRecord or FileArgumentRecord;
                    CHANGE_OWNER = 105 ChangeOwner: bulk, File(ChangeOwner) FileRecord or FileArgumentRecord;
                }
                FileAttribute = "file attribute" {
                    XATTR_SET = 106 XattrSet: bulk, Name(SetAttribute) NameRecord;
                    XATTR_REMOVE = 107 XattrRemove: bulk, Name(RemoveAttribute) NameRecord;
                }
                FileCopy = "file copy" {
                    /// Data copied into the file by the kernel (`copy_file_range`, clone).
                    COPY = 111 Copy: bulk, File(Copy) FileRecord;
                }
                FileAllocate = "file allocate" {
                    /// Space of the file allocated, punched or zeroed.
                    ALLOCATE = 112 Allocate: bulk, File(Allocate) FileRecord;
                }
                MemoryMapping = "memory mapping" {
                    /// A shared mapping through which the file can be written.
                    MAP_WRITE = 108 MapWrite: bulk, File(MapWrite) FileRecord;
                    /// A mapping that can be executed: a library, or memory without a file.
                    MAP_EXECUTE = 109 MapExecute: bulk, File(MapExecute) FileRecord;
                    /// Memory that becomes executable.
                    PROTECT_EXECUTE = 110 ProtectExecute: bulk, File(ProtectExecute) FileRecord;
                }
                Signal = "signal" {
                    SIGNAL = 128 Signal: bulk, Target(Signal) TargetRecord;
                }
                ProcessAccess = "ptrace, process access" {
                    /// Attaching as a tracer, or being traced.
                    TRACE = 129 Trace: bulk, Target(Trace) TargetRecord;
                    /// Memory or descriptors of another process.
                    PROCESS_ACCESS = 130 ProcessAccess: bulk, Target(Access) TargetRecord;
                }
                Credentials = "credentials" {
                    /// Credentials of the acting process changed.
                    CREDENTIALS = 6 Credentials: critical, Kernel(Credentials) KernelRecord;
                }
                Namespaces = "namespaces" {
                    NAMESPACES = 7 Namespaces: critical, Kernel(Namespaces) KernelRecord;
                }
                Mount = "mount, unmount" {
                    MOUNT = 163 Mount: bulk, Kernel(Mount) KernelRecord or KernelArgumentRecord;
                    UNMOUNT = 164 Unmount: bulk, Kernel(Unmount) KernelRecord or KernelArgumentRecord;
                }
                ChangeRoot = "chroot, pivot_root" {
                    CHANGE_ROOT = 165 ChangeRoot: bulk, Kernel(ChangeRoot) KernelRecord or KernelArgumentRecord;
                }
                Watch = "fanotify mark" {
                    /// A fanotify mark: the caller is asked before, or hears after, what others do
                    /// to a file.
                    WATCH = 168 Watch: bulk, Kernel(Watch) KernelRecord or KernelArgumentRecord;
                }
                Bpf = "bpf call" {
                    BPF = 160 Bpf: bulk, Kernel(Bpf) KernelRecord;
                }
                PerfOpen = "perf_event_open" {
                    PERF_OPEN = 161 PerfOpen: bulk, Kernel(PerfOpen) KernelRecord;
                }
                KernelModule = "kernel module" {
                    MODULE = 162 Module: bulk, Kernel(Module) KernelRecord;
                }
                IoRing = "io_uring" {
                    IO_RING = 166 IoRing: bulk, Kernel(IoRing) KernelRecord;
                }
                IoOperation = "io_uring request" {
                    IO_OPERATION = 167 IoOperation: bulk, Kernel(IoOperation) KernelRecord;
                }
            }
            own {
                /// Records of the run begin to be missing, or are whole again.
                COMPLETENESS = 35 Completeness: critical, Completeness CompletenessRecord;
            }
        }
    };
}

macro_rules! lists {
    (
        facts { $($fact:ident = $name:literal {
            $($(#[$doc:meta])* $const:ident = $number:literal $kind:ident: $ring:ident,
              $decoded:ident $(($act:ident))? $record:ident $(or $other:ident)?;)*
        })+ }
        own {
            $($(#[$own_doc:meta])* $own_const:ident = $own_number:literal $own_kind:ident: $own_ring:ident,
              $own_decoded:ident $own_record:ident;)+
        }
    ) => {
        /// What can become known of a run; in the order of the documents.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fact {
            $($fact,)+
        }

        impl Fact {
            /// Every fact.
            pub const ALL: &[Self] = &[$(Self::$fact,)+];

            /// Its name in `sentry doctor` and the documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$fact => $name,)+ }
            }
        }

        /// A kind of record.
        #[repr(u16)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($($(#[$doc])* $kind = $number,)*)+
            $($(#[$own_doc])* $own_kind = $own_number,)+
        }

        impl Kind {
            /// The kind with this number.
            #[must_use]
            pub const fn of(number: u16) -> Option<Self> {
                match number {
                    $($($number => Some(Self::$kind),)*)+
                    $($own_number => Some(Self::$own_kind),)+
                    _ => None,
                }
            }

            /// The fact that it reports.
            #[must_use]
            pub const fn fact(self) -> Option<Fact> {
                match self {
                    $($(Self::$kind => Some(Fact::$fact),)*)+
                    $(Self::$own_kind => None,)+
                }
            }

            /// The ring that it goes to, one of [`ring`](crate::abi::ring).
            #[must_use]
            pub const fn ring(self) -> usize {
                match self {
                    $($(Self::$kind => lists!(ring $ring),)*)+
                    $(Self::$own_kind => lists!(ring $own_ring),)+
                }
            }
        }

        /// The kinds' numbers, as the programs write them.
        pub mod kind {
            $($(
                $(#[$doc])*
                pub const $const: u16 = super::Kind::$kind as u16;
            )*)+
            $(
                $(#[$own_doc])*
                pub const $own_const: u16 = super::Kind::$own_kind as u16;
            )+
        }
    };
    (ring critical) => { crate::abi::ring::CRITICAL };
    (ring bulk) => { crate::abi::ring::BULK };
}
facts!(lists);
