//! The command token: what commands needed before there were keys, and still the right to
//! `operate`. `<data_dir>/command.token` holds 64 hex digits; a line end after them is allowed. The
//! first start makes the file, and it is never changed. In memory there is only the token's
//! SHA-256.
//!
//! For a new token remove the file and restart.

use std::{fmt, path::Path};

use sha2::{Digest as _, Sha256};

use super::secret::{Secret, SecretError, same_digest};

const TOKEN: Secret = Secret { file: "command.token", what: "command token" };

/// The digest that offered tokens are compared with.
#[derive(Clone)]
pub(crate) struct Token {
    digest: [u8; 32],
}

// === impl Token ===

impl Token {
    /// Reads the token of this data directory, or makes one. Only the process that holds the
    /// directory may call it.
    pub(crate) fn load(data_dir: &Path) -> Result<Self, SecretError> {
        let (digits, _path) = TOKEN.load(data_dir)?;
        Ok(Self { digest: Sha256::digest(digits).into() })
    }

    /// Whether `offered` is the token, in constant time.
    pub(crate) fn matches(&self, offered: &[u8]) -> bool {
        same_digest(&self.digest, &Sha256::digest(offered).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    use super::*;
    use crate::exit::Exit;

    const FILE: &str = TOKEN.file;

    fn write(dir: &Path, text: &[u8], mode: u32) {
        let path = dir.join(FILE);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("command.token.new"), "cut o").unwrap();
        let made = Token::load(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        let text = fs::read(&path).unwrap();
        assert_eq!(text.len(), 64);
        assert!(text.iter().all(u8::is_ascii_hexdigit));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        assert!(made.matches(&text) && Token::load(dir.path()).unwrap().matches(&text));
        assert_eq!(fs::read(&path).unwrap(), text);
        let other = tempfile::tempdir().unwrap();
        assert!(!Token::load(other.path()).unwrap().matches(&text), "every directory has its own");
    }

    #[test]
    fn only_the_whole_token_matches() {
        let dir = tempfile::tempdir().unwrap();
        let text = "0123456789abcdef".repeat(4);
        write(dir.path(), format!("{text}\n").as_bytes(), 0o400);
        let token = Token::load(dir.path()).unwrap();
        assert!(token.matches(text.as_bytes()));
        let near =
            [&text[1..], &text[..63], "", &text.to_uppercase(), &format!("{text}0"), &format!("{text}\n")];
        for offered in near {
            assert!(!token.matches(offered.as_bytes()), "{offered:?}");
        }
    }

    #[test]
    fn a_broken_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = "a1".repeat(32);
        for text in
            ["", &good[1..], &format!("{good}\n\n"), &format!("{good}0"), &"g1".repeat(32), &" a".repeat(32)]
        {
            write(dir.path(), text.as_bytes(), 0o600);
            let refused = Token::load(dir.path()).unwrap_err();
            assert!(matches!(refused, SecretError::Malformed { .. }), "{text:?}: {refused}");
            assert_eq!(refused.exit(), Exit::Config);
        }
        for mode in [0o640, 0o604, 0o660, 0o602, 0o644, 0o610, 0o601, 0o777] {
            write(dir.path(), good.as_bytes(), mode);
            let refused = Token::load(dir.path()).unwrap_err();
            assert!(
                matches!(refused, SecretError::Exposed { mode: found, .. } if found == mode),
                "{refused}"
            );
            assert_eq!(refused.exit(), Exit::Config);
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join(FILE), dir.path().join("target"));
        fs::write(&target, "a1".repeat(32)).unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        let refused = || matches!(Token::load(dir.path()), Err(SecretError::NotAFile { .. }));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(refused(), "a link");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(refused(), "a pipe, without waiting for a writer");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(refused(), "a directory");
    }
}
