//! Proof by a shared key, where a sensor and its collector talk in plaintext over TCP.
//!
//! ```text
//! sensor     Hello      sensor, epoch, 32 random bytes
//! collector  Challenge  32 random bytes, mac(key, "collector", …)   the sensor sends nothing before this holds
//! sensor     Proof      mac(key, "sensor", …)
//! collector  Welcome
//! ```
//!
//! mac = HMAC-SHA256 over label, role, sensor, epoch, both random parts and the collector's
//! address, each with its length in front. The key never crosses. Fresh random bytes on both sides
//! make a repeat worthless, the role an echo, the address a relay that listens somewhere else.
//!
//! # The file
//!
//! 32 bytes as 64 hexadecimal digits; white space around them is allowed. It belongs to root or to
//! the process's own user and nobody else may read it. Readable by the group `root` is allowed:
//! that is how systemd's credentials look.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Of a key, and of the random part of each side.
pub const BYTES: usize = 32;

/// Of SHA-256.
const BLOCK_BYTES: usize = 64;
const LABEL: &[u8] = b"agentsentry feed 1";
const MAX_FILE_BYTES: u64 = 1024;
const OTHERS_ANY: u32 = 0o007;
const GROUP_WRITE_OR_EXECUTE: u32 = 0o030;
const GROUP_READ: u32 = 0o040;

/// A key that one sensor and its collector share.
#[derive(Clone)]
pub struct FeedKey([u8; BYTES]);

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Collector,
    Sensor,
}

/// What a proof is about.
#[derive(Clone, Copy, Debug)]
pub struct Talk<'a> {
    pub sensor: &'a str,
    pub epoch: &'a str,
    /// The sensor's random bytes.
    pub hello: &'a [u8],
    /// The collector's.
    pub challenge: &'a [u8],
    /// Where the collector was reached.
    pub address: SocketAddr,
}

/// Why a file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "cannot read the feed key {}; make one with `sentry-collector feed-key SENSOR --out \
         FILE` and give both sides a copy", path.display()
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the feed key {} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error(
        "the feed key {} belongs to user {owner}, who could exchange it; it has to belong to \
         root or to user {user}, who reads it", path.display()
    )]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "the feed key {} has mode {mode:04o}, others may know it; make a new one and keep it at \
         mode 0600",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the feed key {} is not 64 hexadecimal digits", path.display())]
    Malformed { path: PathBuf },
}

// === impl FeedKey ===

impl FeedKey {
    #[must_use]
    pub fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a key that nobody but root and `user`, who runs this process, can have read or
    /// written.
    ///
    /// # Errors
    /// Where the file is missing, open to others, or holds no key.
    pub fn read(path: &Path, user: u32) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Unreadable { path: path.to_owned(), source };
        // Looked at before it is opened, since opening a pipe would wait; the checks are on what
        // was opened.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(KeyError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let (owner, mode) = (about.uid(), about.mode() & 0o7777);
        if !about.is_file() {
            return Err(KeyError::NotAFile { path: path.to_owned() });
        }
        if owner != 0 && owner != user {
            return Err(KeyError::Foreign { path: path.to_owned(), owner, user });
        }
        let group_reads = mode & GROUP_READ != 0 && about.gid() != 0;
        if mode & (OTHERS_ANY | GROUP_WRITE_OR_EXECUTE) != 0 || group_reads {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(failed)?;
        Self::parse(&text).ok_or_else(|| KeyError::Malformed { path: path.to_owned() })
    }

    /// As it stands in the file.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The proof of one side.
    #[must_use]
    pub fn prove(&self, role: Role, talk: &Talk<'_>) -> Vec<u8> {
        self.mac(role, talk).finalize().into_bytes().to_vec()
    }

    /// Whether `mac` is the proof of that side; takes the same time whatever is wrong with it.
    #[must_use]
    pub fn holds(&self, role: Role, talk: &Talk<'_>, mac: &[u8]) -> bool {
        // Who sends fewer random bytes than agreed could make the other side repeat itself.
        let fresh = talk.hello.len() == BYTES && talk.challenge.len() == BYTES;
        self.mac(role, talk).verify_slice(mac).is_ok() && fresh
    }

    fn mac(&self, role: Role, talk: &Talk<'_>) -> Hmac<Sha256> {
        let role: &[u8] = match role {
            Role::Collector => b"collector",
            Role::Sensor => b"sensor",
        };
        // IPv4 looks the same on both sides, also where one of them listens on IPv6 for both.
        let address = SocketAddr::new(talk.address.ip().to_canonical(), talk.address.port()).to_string();
        let parts = [
            LABEL,
            role,
            talk.sensor.as_bytes(),
            talk.epoch.as_bytes(),
            talk.hello,
            talk.challenge,
            address.as_bytes(),
        ];
        // HMAC fills a shorter key with zeros up to the digest's block.
        let mut block = [0; BLOCK_BYTES];
        block[..BYTES].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.trim_ascii();
        if digits.len() != 2 * BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut key = [0; BYTES];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(key))
    }
}

impl fmt::Debug for FeedKey {
    // The key must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use proptest::prelude::*;

    use super::*;

    fn talk() -> Talk<'static> {
        Talk {
            sensor: "s",
            epoch: "e",
            hello: &[1; BYTES],
            challenge: &[2; BYTES],
            address: SocketAddr::from(([127, 0, 0, 1], 4319)),
        }
    }

    #[test]
    fn a_proof_holds_for_its_talk_alone() {
        let key = FeedKey::new([7; BYTES]);
        let mac = key.prove(Role::Sensor, &talk());
        assert!(key.holds(Role::Sensor, &talk(), &mac));
        let other = |talk: Talk<'_>| key.holds(Role::Sensor, &talk, &mac);
        assert!(!key.holds(Role::Collector, &talk(), &mac), "an echo");
        assert!(!FeedKey::new([8; BYTES]).holds(Role::Sensor, &talk(), &mac), "another key");
        assert!(!other(Talk { sensor: "t", ..talk() }) && !other(Talk { epoch: "f", ..talk() }));
        // The border between two texts counts, not only the bytes.
        assert!(!other(Talk { sensor: "se", epoch: "", ..talk() }));
        assert!(
            !other(Talk { hello: &[3; BYTES], ..talk() })
                && !other(Talk { challenge: &[3; BYTES], ..talk() })
        );
        for elsewhere in ["127.0.0.2:4319", "127.0.0.1:4320", "[::1]:4319"] {
            assert!(!other(Talk { address: elsewhere.parse().unwrap(), ..talk() }), "{elsewhere}");
        }
        assert!(other(Talk { address: "[::ffff:127.0.0.1]:4319".parse().unwrap(), ..talk() }));
        assert!(!key.holds(Role::Sensor, &talk(), &mac[..31]) && !key.holds(Role::Sensor, &talk(), &[]));
    }

    #[test]
    fn few_random_bytes_prove_nothing() {
        let key = FeedKey::new([7; BYTES]);
        for short in [&[][..], &[2; BYTES - 1], &[2; BYTES + 1]] {
            let talk = Talk { challenge: short, ..talk() };
            assert!(!key.holds(Role::Collector, &talk, &key.prove(Role::Collector, &talk)));
        }
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, format!("{}\n", FeedKey::new([0xa5; BYTES]).digits())).unwrap();
        let user = fs::metadata(&path).unwrap().uid();
        for (mode, refused) in [(0o600, false), (0o400, false), (0o620, true), (0o604, true), (0o601, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = FeedKey::read(&path, user);
            assert_eq!(matches!(read, Err(KeyError::Exposed { .. })), refused, "{mode:o} {read:?}");
            assert_eq!(read.is_ok_and(|key| key.0 == [0xa5; BYTES]), !refused);
        }
        if user != 0 {
            assert!(matches!(FeedKey::read(&path, user + 1), Err(KeyError::Foreign { .. })));
        }
        assert!(matches!(FeedKey::read(dir.path(), user), Err(KeyError::NotAFile { .. })));
        assert!(matches!(FeedKey::read(&dir.path().join("none"), user), Err(KeyError::Unreadable { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_refused(text in prop::collection::vec(any::<u8>(), 0..80), key: [u8; BYTES]) {
            if let Some(parsed) = FeedKey::parse(&text) {
                prop_assert_eq!(parsed.digits().into_bytes(), text.trim_ascii().to_ascii_lowercase());
            }
            prop_assert_eq!(FeedKey::parse(FeedKey::new(key).digits().as_bytes()).unwrap().0, key);
        }
    }
}
