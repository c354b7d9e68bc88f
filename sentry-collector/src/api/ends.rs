//! The two ends of a connection.

use std::net::IpAddr;

/// What the connection says about a request. Only the connection knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ends {
    /// Over TCP: the address that it came to, which differs from the listener's if that is all
    /// addresses, and the one that it came from.
    Tcp { to: IpAddr, from: IpAddr },
    /// Over the collector's own unix socket: the user, by the kernel's word.
    Unix { uid: u32 },
}

// === impl Ends ===

impl Ends {
    /// As the audit names it.
    pub(crate) fn source(self) -> String {
        match self {
            Self::Tcp { from, .. } => from.to_canonical().to_string(),
            Self::Unix { .. } => "unix socket".to_owned(),
        }
    }
}
