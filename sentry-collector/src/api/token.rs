//! The command token: the secret of those who may send commands. `<data_dir>/command.token` holds
//! 32 random bytes from the kernel as 64 hex digits; a line end after them is allowed. The first
//! start makes the file, atomically and with mode 0600, and it is never changed. In memory there is
//! only the token's SHA-256.
//!
//! Limits: the file is closed to other users. Root and the collector's own user can read it, so a
//! watched agent must run as neither. For a new token remove the file and restart.

use std::{
    fmt,
    fs::{self, File, OpenOptions, Permissions},
    hint::black_box,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use rustix::{
    fs::{Mode, OFlags},
    io::{Errno, retry_on_intr},
    process::geteuid,
    rand::{GetRandomFlags, getrandom},
};
use sha2::{Digest as _, Sha256};

use crate::exit::Exit;

const FILE: &str = "command.token";
/// An interrupted start may leave this file; the next start replaces it.
const UNFINISHED: &str = "command.token.new";
const RANDOM_BYTES: usize = 32;
const DIGITS: usize = 2 * RANDOM_BYTES;
const OWNER_ONLY: u32 = 0o600;
/// Every permission of the group and of others.
const OTHERS: u32 = 0o077;

/// Why the command token cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot make the command token {}; the data directory must be writable", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot read the command token {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the command token {} is not a regular file; remove it and a new one is made", path.display())]
    NotAFile { path: PathBuf },
    #[error(
        "the command token {} belongs to user {owner}, not to user {user} that runs the collector; remove it \
        and a new one is made", path.display()
    )]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "the command token {} has mode {mode:04o}, others than its owner may know it; remove it and a new \
        one is made, or set mode 0600 if nobody has seen it", path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "the command token {} is not {DIGITS} hex digits; remove it and a new one is made",
        path.display()
    )]
    Malformed { path: PathBuf },
}

/// The digest that handlers compare with.
#[derive(Clone)]
pub(crate) struct Token {
    digest: [u8; 32],
    path: Arc<Path>,
}

// === impl Token ===

impl Token {
    /// Reads the token of this data directory, or makes one. Only the process that holds the
    /// directory may call it.
    pub(crate) fn load(data_dir: &Path) -> Result<Self, TokenError> {
        let path = data_dir.join(FILE);
        // Absolute, because answers show it to callers in other directories.
        let path = absolute(&path).unwrap_or(path);
        let digits = match open(&path) {
            Ok(file) => read(&path, file)?,
            Err(Errno::NOENT) => {
                make(data_dir, &path).map_err(|source| TokenError::Create { path: path.clone(), source })?
            }
            // ELOOP: a symbolic link, because of O_NOFOLLOW. ENXIO: a socket, or a device without a
            // driver.
            Err(Errno::LOOP | Errno::NXIO) => return Err(TokenError::NotAFile { path }),
            Err(errno) => return Err(TokenError::Unreadable { path, source: errno.into() }),
        };
        Ok(Self { digest: Sha256::digest(digits).into(), path: path.into() })
    }

    /// Whether `offered` is the token. Compares digests, always to the end, so that the time it
    /// takes reveals nothing about the token.
    pub(crate) fn matches(&self, offered: &[u8]) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered).into();
        let difference = self.digest.iter().zip(&offered).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        difference == 0
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("path", &self.path).finish_non_exhaustive()
    }
}

// === impl TokenError ===

impl TokenError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Create { .. } => Exit::CannotCreate,
            Self::Unreadable { .. } => Exit::Io,
            Self::NotAFile { .. } | Self::Foreign { .. } | Self::Exposed { .. } | Self::Malformed { .. } => {
                Exit::Config
            }
        }
    }
}

/// Opens without following a link, and without waiting for the other end of a pipe.
fn open(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from)
}

/// The digits of a file that nobody else can have read or written.
fn read(path: &Path, file: File) -> Result<Vec<u8>, TokenError> {
    let failed = |source| TokenError::Unreadable { path: path.to_owned(), source };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(TokenError::NotAFile { path: path.to_owned() });
    }
    let (owner, user, mode) = (about.uid(), geteuid().as_raw(), about.mode() & 0o7777);
    if owner != user {
        return Err(TokenError::Foreign { path: path.to_owned(), owner, user });
    }
    if mode & OTHERS != 0 {
        return Err(TokenError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Vec::with_capacity(DIGITS + 2);
    file.take(DIGITS as u64 + 2).read_to_end(&mut text).map_err(failed)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(TokenError::Malformed { path: path.to_owned() });
    }
    Ok(digits.to_vec())
}

/// Writes a new token to a file beside the final one, then renames it: a crash leaves all of it or
/// nothing.
fn make(data_dir: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let unfinished = data_dir.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let digits = random_digits()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&unfinished)?;
    // The umask may have removed bits.
    file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    file.write_all(&digits)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(data_dir)?.sync_all()?;
    tracing::info!(path = %path.display(), "command token made");
    Ok(digits)
}

fn random_digits() -> io::Result<Vec<u8>> {
    let mut bytes = [0; RANDOM_BYTES];
    // Waits until the kernel's generator is ready. Up to 256 bytes then come in one piece.
    let filled = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))?;
    if filled != RANDOM_BYTES {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel gave too few random bytes"));
    }
    Ok(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn write(dir: &Path, text: &[u8], mode: u32) {
        let path = dir.join(FILE);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(UNFINISHED), "cut o").unwrap();
        let made = Token::load(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        let text = fs::read(&path).unwrap();
        assert_eq!((text.len(), made.path()), (64, path.as_path()));
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
            assert!(matches!(refused, TokenError::Malformed { .. }), "{text:?}: {refused}");
            assert_eq!(refused.exit(), Exit::Config);
        }
        for mode in [0o640, 0o604, 0o660, 0o602, 0o644, 0o610, 0o601, 0o777] {
            write(dir.path(), good.as_bytes(), mode);
            let refused = Token::load(dir.path()).unwrap_err();
            assert!(matches!(refused, TokenError::Exposed { mode: found, .. } if found == mode), "{refused}");
            assert_eq!(refused.exit(), Exit::Config);
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join(FILE), dir.path().join("target"));
        fs::write(&target, "a1".repeat(32)).unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        let refused = || matches!(Token::load(dir.path()), Err(TokenError::NotAFile { .. }));
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
