//! Keys and the audit as the store keeps them.

/// Most keys that are not revoked.
pub(crate) const MAX_KEYS: i64 = 1000;

/// A key to store.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) prefix: String,
    pub(crate) hash: [u8; 32],
    pub(crate) scope: &'static str,
    pub(crate) agent: Option<String>,
    pub(crate) note: String,
    pub(crate) made_by: String,
    /// Unix milliseconds; `None`: it does not expire.
    pub(crate) expires_ms: Option<i64>,
}

/// What a check of a key needs.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) prefix: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) scope: String,
    pub(crate) agent: Option<String>,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) used_ms: Option<i64>,
    pub(crate) revoked: bool,
}

impl From<&NewKey> for KeyRow {
    fn from(key: &NewKey) -> Self {
        Self {
            prefix: key.prefix.clone(),
            hash: key.hash.to_vec(),
            scope: key.scope.to_owned(),
            agent: key.agent.clone(),
            expires_ms: key.expires_ms,
            used_ms: None,
            revoked: false,
        }
    }
}

/// A change of keys.
#[derive(Clone, Debug)]
pub(crate) enum KeyChange {
    Make(NewKey),
    /// The key with this prefix.
    Revoke(String),
    /// All of them but the one with this prefix.
    RevokeAll {
        but: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyReply {
    Made,
    /// There are [`MAX_KEYS`] already.
    TooMany,
    /// The prefixes of the keys that this revoked.
    Revoked(Vec<String>),
}

impl KeyReply {
    /// As the audit says it.
    pub(crate) fn result(&self) -> String {
        match self {
            Self::Made => "made".to_owned(),
            Self::TooMany => "refused: too many keys".to_owned(),
            Self::Revoked(prefixes) if prefixes.is_empty() => "refused: no such key that works".to_owned(),
            Self::Revoked(prefixes) => format!("revoked {}", prefixes.join(", ")),
        }
    }
}

/// An entry of the audit. The store adds its time.
#[derive(Clone, Debug)]
pub(crate) struct AuditEntry {
    /// Who did it.
    pub(crate) who: String,
    /// The address that it came from.
    pub(crate) source: String,
    /// What was done, in one word with underscores.
    pub(crate) action: &'static str,
    /// What it was done to.
    pub(crate) target: String,
    /// Why, as whoever did it says.
    pub(crate) why: String,
    /// How it ended. What is known only once it is done, the store adds.
    pub(crate) result: String,
}
