//! How a sensor proves who it is.

/// By which of the ways a sensor was proven; the store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Certificate,
    Key,
    /// `named`: the configuration says for which sensor the socket speaks.
    Socket {
        named: bool,
    },
}

impl Way {
    /// As the store has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Socket { .. } => "socket",
        }
    }
}
