//! API keys: `askey_<prefix>_<secret>`, 12 and 64 hex digits from the kernel. The prefix names the
//! key in listings and in the audit. A key is stored as its HMAC-SHA256 with the collector's
//! secret, so a copy of the store alone neither holds keys nor lets one test guesses.

use std::{fmt, io, path::Path};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::secret::{Secret, SecretError, random_digits};

const HEAD: &str = "askey_";
const PREFIX_DIGITS: usize = 12;
const SECRET_DIGITS: usize = 64;

const SECRET: Secret = Secret { file: "keys.secret", what: "secret of the keys" };

/// A new key. Its text is shown once.
pub(crate) struct ApiKey {
    pub(crate) prefix: String,
    pub(crate) text: String,
}

/// What makes the stored form of keys.
#[derive(Clone)]
pub(crate) struct Hasher(Hmac<Sha256>);

// === impl ApiKey ===

impl ApiKey {
    pub(crate) fn new() -> io::Result<Self> {
        let prefix: String = random_digits()?.chars().take(PREFIX_DIGITS).collect();
        let text = format!("{HEAD}{prefix}_{}", random_digits()?);
        Ok(Self { prefix, text })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The prefix of what has the form of a key.
pub(crate) fn prefix_of(offered: &[u8]) -> Option<&str> {
    let rest = str::from_utf8(offered).ok()?.strip_prefix(HEAD)?;
    let (prefix, secret) = rest.split_once('_')?;
    (is_prefix(prefix) && is_hex(secret, SECRET_DIGITS)).then_some(prefix)
}

pub(crate) fn is_prefix(text: &str) -> bool {
    is_hex(text, PREFIX_DIGITS)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

// === impl Hasher ===

impl Hasher {
    /// Reads the secret from the file that the configuration names, or from the data directory,
    /// where the first start makes it. Only the process that holds the directory may call it.
    pub(crate) fn load(data_dir: &Path, named: Option<&Path>) -> Result<Self, SecretError> {
        let digits = match named {
            Some(path) => SECRET.of_file(path)?,
            None => SECRET.load(data_dir)?.0,
        };
        Ok(Self::new(&digits))
    }

    pub(crate) fn new(secret: &[u8]) -> Self {
        // One block: every secret has 64 bytes, and other lengths are filled up or cut.
        let mut block = [0; 64];
        block.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
        Self(Hmac::new(&block.into()))
    }

    pub(crate) fn hash(&self, text: &[u8]) -> [u8; 32] {
        self.0.clone().chain_update(text).finalize().into_bytes().into()
    }

    /// Whether the hash is the one of the text, in constant time.
    pub(crate) fn matches(&self, text: &[u8], hash: &[u8; 32]) -> bool {
        self.0.clone().chain_update(text).verify_slice(hash).is_ok()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_form_that_is_read() {
        let key = ApiKey::new().unwrap();
        assert_eq!(prefix_of(key.text.as_bytes()), Some(key.prefix.as_str()));
        assert_eq!(key.text.len(), 6 + 12 + 1 + 64);
        assert!(!format!("{key:?}").contains(&key.text[19..]));
        let text = key.text.as_str();
        for other in [&text[1..], &text[..82], "", "askey__", &text.replace('_', "-"), &format!("{text}0")] {
            assert_eq!(prefix_of(other.as_bytes()), None, "{other:?}");
        }
        assert_ne!(ApiKey::new().unwrap().text, key.text);
    }

    #[test]
    fn a_hash_depends_on_the_secret_and_on_every_byte() {
        let hasher = Hasher::new(&[b'7'; 64]);
        let hash = hasher.hash(b"askey_a");
        assert!(hasher.matches(b"askey_a", &hash));
        assert!(!hasher.matches(b"askey_b", &hash) && !hasher.matches(b"askey_", &hash));
        assert!(!Hasher::new(&[b'8'; 64]).matches(b"askey_a", &hash));
    }
}
