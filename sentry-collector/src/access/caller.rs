//! Who asks.

use std::fmt;

use super::scope::Scope;

/// Who asks, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) scope: Scope,
    /// Until when, in Unix milliseconds.
    pub(crate) until_ms: i64,
}

/// How it is known who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// At the collector's own unix socket: root or the collector's own user.
    Local { uid: u32 },
    /// By the command token.
    Token,
    /// By the key with this prefix.
    Key { prefix: String },
    /// By a session's cookie.
    Session {
        /// The first digits of the cookie's digest.
        id: String,
        /// The key that it was opened with. `None`: it was the command token, or a link that was
        /// made on the host.
        key: Option<String>,
    },
}

// === impl Caller ===

impl Caller {
    pub(crate) fn local(uid: u32) -> Self {
        Self { who: Who::Local { uid }, scope: Scope::Admin, until_ms: i64::MAX }
    }
}

// === impl Who ===

impl Who {
    /// The prefix of the key behind it.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Key { prefix } => Some(prefix),
            Self::Session { key, .. } => key.as_deref(),
            Self::Local { .. } | Self::Token => None,
        }
    }
}

/// As the audit names it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid } => write!(f, "user {uid} on the host"),
            Self::Token => f.write_str("command token"),
            Self::Key { prefix } => write!(f, "key {prefix}"),
            Self::Session { id, key: Some(key) } => write!(f, "session {id} of key {key}"),
            Self::Session { id, key: None } => write!(f, "session {id}"),
        }
    }
}
