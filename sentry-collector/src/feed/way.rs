//! How a sensor proves who it is.

/// The way in which a sensor was proven. The store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Certificate,
    Key,
    /// `named`: the configuration names the sensor of the socket.
    Socket {
        named: bool,
    },
}

impl Way {
    /// The form in the store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Socket { .. } => "socket",
        }
    }
}
