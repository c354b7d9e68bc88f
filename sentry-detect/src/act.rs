//! Names of acts that share a shape. The name is the same in the code, on the wire and in JSON.

use serde::{Deserialize, Serialize};

macro_rules! acts {
    ($(#[$meta:meta])* $type:ident { $($(#[$variant_meta:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$variant_meta])* #[serde(rename = $name)] $variant),+
        }

        impl $type {
            /// Every act, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The act of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

acts! {
    /// What was done to a file, beside opening, unlinking and renaming it.
    FileAct {
        /// Got a second name.
        Link = "link",
        Symlink = "symlink",
        MakeDirectory = "mkdir",
        /// A device, pipe, socket or plain file by mknod(2).
        MakeNode = "mknod",
        /// Two names were swapped.
        Exchange = "exchange",
        Truncate = "truncate",
        ChangeMode = "chmod",
        ChangeOwner = "chown",
        SetAttribute = "setxattr",
        RemoveAttribute = "removexattr",
        /// Can be written through shared memory from now on.
        MapWrite = "map_write",
        /// Can be executed from memory: a library.
        MapExecute = "map_exec",
        /// Memory became executable.
        ProtectExecute = "protect_exec",
        /// Got data from another file inside the kernel.
        Copy = "copy",
        Allocate = "allocate",
        /// The last descriptor that could write was closed.
        CloseWritten = "close_written",
        /// Came in as a descriptor from another process.
        Receive = "receive_file",
    }
}

acts! {
    /// What was done with a socket, beside asking for a connection or sending a datagram.
    SocketAct {
        Create = "socket",
        /// How a connect ended.
        Connected = "connected",
        Bind = "bind",
        Listen = "listen",
        Accept = "accept",
        /// Came in as a descriptor from another process.
        Receive = "receive_socket",
    }
}

acts! {
    /// What was done to another process.
    TargetAct {
        Signal = "signal",
        /// ptrace(2), in either direction.
        Trace = "trace",
        /// Its memory or descriptors.
        Access = "access",
    }
}

acts! {
    /// What was done to the kernel, or to the process's own standing in it.
    KernelAct {
        Credentials = "credentials",
        Namespaces = "namespaces",
        Bpf = "bpf",
        PerfOpen = "perf_open",
        Module = "module",
        Mount = "mount",
        Unmount = "unmount",
        ChangeRoot = "change_root",
        /// A fanotify mark.
        Watch = "watch",
        IoRing = "io_ring",
        IoOperation = "io_operation",
    }
}

#[cfg(test)]
mod tests {
    use super::{FileAct, KernelAct, SocketAct, TargetAct};

    #[test]
    fn every_name_leads_back_to_its_act() {
        assert!(FileAct::ALL.iter().all(|act| FileAct::from_name(act.name()) == Some(*act)));
        assert!(SocketAct::ALL.iter().all(|act| SocketAct::from_name(act.name()) == Some(*act)));
        assert!(TargetAct::ALL.iter().all(|act| TargetAct::from_name(act.name()) == Some(*act)));
        assert!(KernelAct::ALL.iter().all(|act| KernelAct::from_name(act.name()) == Some(*act)));
        assert_eq!(FileAct::from_name("no such act"), None);
    }
}
