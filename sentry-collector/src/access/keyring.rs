//! The keys that are known, in memory: a request is checked without the store.
//!
//! Keys change only through the one process that serves, which stores a change first. The time of a
//! key's last use is stored by the hour.

use std::{collections::HashMap, path::Path, sync::Arc};

use parking_lot::RwLock;

use super::{
    caller::{Caller, Who},
    key::{ApiKey, Hasher, prefix_of},
    scope::Scope,
    secret::{Secret, SecretError},
};
use crate::store::{KeyRow, NewKey, Writer};

/// What the first start writes, for whoever sets the collector up.
const FIRST: Secret = Secret { file: "admin.key", what: "first admin key" };
const HOUR_MS: i64 = 60 * 60 * 1000;

#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    hasher: Hasher,
    keys: Arc<RwLock<HashMap<String, Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    hash: [u8; 32],
    scope: Scope,
    expires_ms: Option<i64>,
    revoked: bool,
    /// The hour of the last use, as Unix milliseconds.
    used_ms: i64,
}

/// What was offered is a key.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) caller: Caller,
    /// The hour to store as the last use, if it is another one than before.
    pub(crate) used_ms: Option<i64>,
}

/// Why what was offered is no key that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Unknown,
    /// It was one.
    Expired {
        prefix: String,
    },
    Revoked {
        prefix: String,
    },
}

// === impl Keyring ===

impl Keyring {
    pub(crate) fn new(hasher: Hasher, rows: Vec<KeyRow>) -> Self {
        let ring = Self { hasher, keys: Arc::default() };
        rows.into_iter().for_each(|row| ring.add(row));
        ring
    }

    /// Takes up a key that is stored. One that this version cannot read works for nobody.
    pub(crate) fn add(&self, row: KeyRow) {
        let scope = Scope::parse(&row.scope, row.agent.as_deref());
        let (Ok(scope), Ok(hash)) = (scope, <[u8; 32]>::try_from(row.hash)) else {
            tracing::warn!(prefix = row.prefix, "a stored key cannot be read");
            return;
        };
        let known = Known {
            hash,
            scope,
            expires_ms: row.expires_ms,
            revoked: row.revoked,
            used_ms: row.used_ms.unwrap_or_default(),
        };
        self.keys.write().insert(row.prefix, known);
    }

    /// These keys work no more.
    pub(crate) fn revoke(&self, prefixes: &[String]) {
        let mut keys = self.keys.write();
        for prefix in prefixes {
            if let Some(known) = keys.get_mut(prefix) {
                known.revoked = true;
            }
        }
    }

    /// Who offers this key at `now_ms`. The time that it takes depends on the prefix only, which
    /// anybody may know.
    pub(crate) fn check(&self, offered: &[u8], now_ms: i64) -> Result<Right, Wrong> {
        let prefix = prefix_of(offered).ok_or(Wrong::Unknown)?;
        let known = self.keys.read().get(prefix).cloned().ok_or(Wrong::Unknown)?;
        if !self.hasher.matches(offered, &known.hash) {
            return Err(Wrong::Unknown);
        }
        let prefix = prefix.to_owned();
        if known.revoked {
            return Err(Wrong::Revoked { prefix });
        }
        if known.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Err(Wrong::Expired { prefix });
        }
        let hour_ms = now_ms - now_ms.rem_euclid(HOUR_MS);
        let used_ms = (known.used_ms < hour_ms).then_some(hour_ms);
        if used_ms.is_some()
            && let Some(known) = self.keys.write().get_mut(&prefix)
        {
            known.used_ms = hour_ms;
        }
        let until_ms = known.expires_ms.unwrap_or(i64::MAX);
        Ok(Right { caller: Caller { who: Who::Key { prefix }, scope: known.scope, until_ms }, used_ms })
    }

    pub(crate) fn is_revoked(&self, prefix: &str) -> bool {
        self.keys.read().get(prefix).is_none_or(|known| known.revoked)
    }

    /// A new key, with what is stored of it.
    pub(crate) fn make(
        &self,
        scope: &Scope,
        note: String,
        made_by: String,
        expires_ms: Option<i64>,
    ) -> std::io::Result<(ApiKey, NewKey)> {
        make(&self.hasher, scope, note, made_by, expires_ms)
    }
}

/// Where there has never been a key, makes one of scope `admin` and writes it into the data
/// directory, before it is stored: a crash in between leaves a file that the next start replaces.
pub(crate) fn first_key(writer: &mut Writer, hasher: &Hasher, data_dir: &Path) -> Result<(), FirstKeyError> {
    if writer.had_keys()? {
        return Ok(());
    }
    let path = data_dir.join(FIRST.file);
    let failed = |source| SecretError::Create { what: FIRST.what, path: path.clone(), source };
    let note = format!("the first key, in {}", FIRST.file);
    let (key, new) = make(hasher, &Scope::Admin, note, "the first start".to_owned(), None).map_err(failed)?;
    FIRST.write(data_dir, key.text.as_bytes()).map_err(failed)?;
    writer.add_key(&new)?;
    tracing::info!(path = %path.display(), prefix = key.prefix, "first admin key made");
    Ok(())
}

/// Why there is no first key.
#[derive(Debug, thiserror::Error)]
pub enum FirstKeyError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

fn make(
    hasher: &Hasher,
    scope: &Scope,
    note: String,
    made_by: String,
    expires_ms: Option<i64>,
) -> std::io::Result<(ApiKey, NewKey)> {
    let key = ApiKey::new()?;
    let new = NewKey {
        prefix: key.prefix.clone(),
        hash: hasher.hash(key.text.as_bytes()),
        scope: scope.name(),
        agent: scope.agent().map(str::to_owned),
        note,
        made_by,
        expires_ms,
    };
    Ok((key, new))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        Keyring::new(Hasher::new(&[b'5'; 64]), Vec::new())
    }

    fn add(ring: &Keyring, scope: &Scope, expires_ms: Option<i64>) -> ApiKey {
        let (key, new) = ring.make(scope, String::new(), String::new(), expires_ms).unwrap();
        ring.add(KeyRow::from(&new));
        key
    }

    #[test]
    fn a_key_names_its_caller_until_it_expires() {
        let ring = ring();
        let scope = Scope::Agent("claude".to_owned());
        let key = add(&ring, &scope, Some(5000));
        let found = ring.check(key.text.as_bytes(), 4999).unwrap();
        let who = Who::Key { prefix: key.prefix.clone() };
        assert_eq!(found.caller, Caller { who, scope, until_ms: 5000 });
        assert_eq!(ring.check(key.text.as_bytes(), 5000).unwrap_err(), Wrong::Expired { prefix: key.prefix });
    }

    #[test]
    fn nearly_a_key_is_none() {
        let ring = ring();
        let (key, other) = (add(&ring, &Scope::Admin, None), add(&ring, &Scope::Admin, None));
        let flipped = |at: usize| {
            let mut bytes = key.text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            bytes
        };
        for at in 0..key.text.len() {
            assert_eq!(ring.check(&flipped(at), 0).unwrap_err(), Wrong::Unknown, "{at}");
        }
        let crossed = format!("askey_{}_{}", other.prefix, &key.text[19..]);
        for offered in [crossed.as_str(), "", &key.text[..82], &key.text.to_uppercase()] {
            assert_eq!(ring.check(offered.as_bytes(), 0).unwrap_err(), Wrong::Unknown, "{offered}");
        }
    }

    #[test]
    fn a_revoked_key_works_no_more_and_others_do() {
        let ring = ring();
        let (key, other) = (add(&ring, &Scope::Admin, None), add(&ring, &Scope::Operate, None));
        ring.revoke(&[key.prefix.clone(), "unknown".to_owned()]);
        assert_eq!(ring.check(key.text.as_bytes(), 0).unwrap_err(), Wrong::Revoked { prefix: key.prefix });
        assert!(ring.check(other.text.as_bytes(), 0).is_ok());
    }

    #[test]
    fn the_last_use_is_noted_once_an_hour() {
        let ring = ring();
        let key = add(&ring, &Scope::Admin, None);
        let used = |now_ms| ring.check(key.text.as_bytes(), now_ms).unwrap().used_ms;
        assert_eq!(
            [HOUR_MS + 5, HOUR_MS + 9, 2 * HOUR_MS].map(used),
            [Some(HOUR_MS), None, Some(2 * HOUR_MS)]
        );
    }
}
