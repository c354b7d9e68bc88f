//! The embedded BPF objects. Empty when the sensor was built without the BPF toolchain.

use aya::include_bytes_aligned;

macro_rules! objects {
    ($($object:ident = $name:literal),+ $(,)?) => {
        /// One compiled file of programs. There are several, so that programs a kernel refuses do
        /// not take others with them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Object {
            $($object),+
        }

        impl Object {
            /// In the order of loading.
            pub(super) const ALL: &[Self] = &[$(Self::$object),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$object => $name),+ }
            }

            pub(super) const fn bytes(self) -> &'static [u8] {
                match self {
                    $(Self::$object => {
                        static BYTES: &[u8] =
                            include_bytes_aligned!(concat!(env!("OUT_DIR"), "/", $name, ".o"));
                        BYTES
                    })+
                }
            }
        }
    };
}

objects! {
    Core = "core",
    Network = "network",
    FileLsm = "file_lsm",
    FileFentry = "file_fentry",
    FileSyscall = "file_syscall",
    FileActs = "file_acts",
    KernelTrace = "kernel_trace",
    ProcessActs = "process_acts",
    SocketTrace = "socket_trace",
    Packets = "packets",
    SocketActs = "socket_acts",
}
