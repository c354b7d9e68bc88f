//! Files that hold a secret: 32 random bytes from the kernel as 64 hex digits, or a key. The first
//! start makes the file in the data directory, atomically and with mode 0600.
//!
//! Limits: the file is closed to other users. Root and the collector's own user can read it, so a
//! watched agent must run as neither.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    hint::black_box,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf, absolute},
};

use rustix::{
    fs::{Mode, OFlags},
    io::{Errno, retry_on_intr},
    process::geteuid,
};
use sha2::{Digest as _, Sha256};

use crate::{exit::Exit, ingest::gate::random};

pub(crate) const DIGITS: usize = 64;
const OWNER_ONLY: u32 = 0o600;
/// Every permission of the group and of others.
const OTHERS: u32 = 0o077;
/// What a file of the service manager may have beside its owner's permissions: the group reads.
const GROUP_READ: u32 = 0o040;

/// Why a secret cannot be read or made. `what` names it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot make the {what} {}; the data directory must be writable", path.display())]
    Create { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot read the {what} {}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the {what} {} is not a regular file; remove it and a new one is made", path.display())]
    NotAFile { what: &'static str, path: PathBuf },
    #[error(
        "the {what} {} belongs to user {owner}, not to user {user} that runs the collector; remove it \
        and a new one is made", path.display()
    )]
    Foreign { what: &'static str, path: PathBuf, owner: u32, user: u32 },
    #[error(
        "the {what} {} has mode {mode:04o}, others than its owner may know it; remove it and a new \
        one is made, or set mode 0600 if nobody has seen it", path.display()
    )]
    Exposed { what: &'static str, path: PathBuf, mode: u32 },
    #[error(
        "the {what} {} is not {DIGITS} hex digits; remove it and a new one is made",
        path.display()
    )]
    Malformed { what: &'static str, path: PathBuf },
}

/// A secret in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret {
    /// Name of the file in the data directory.
    pub(crate) file: &'static str,
    pub(crate) what: &'static str,
}

// === impl Secret ===

impl Secret {
    /// The digits of this data directory, which are made if there are none, and the absolute path
    /// of their file. Only the process that holds the directory may call it.
    pub(crate) fn load(self, data_dir: &Path) -> Result<(Vec<u8>, PathBuf), SecretError> {
        let path = data_dir.join(self.file);
        // Absolute, because the log shows it to readers in other directories.
        let path = absolute(&path).unwrap_or(path);
        let what = self.what;
        let digits = match open(&path) {
            Ok(file) => self.read(&path, file, false)?,
            Err(Errno::NOENT) => {
                let made = random_digits().and_then(|digits| {
                    self.write(data_dir, digits.as_bytes())?;
                    Ok(digits.into_bytes())
                });
                let made = made.map_err(|source| SecretError::Create { what, path: path.clone(), source })?;
                tracing::info!(path = %path.display(), what, "secret made");
                made
            }
            Err(errno) => return Err(self.refused(path, errno)),
        };
        Ok((digits, path))
    }

    /// The digits of a file that an administrator or the service manager made: it may belong to
    /// root, and the group `root` may read it, as with systemd's credentials.
    pub(crate) fn of_file(self, path: &Path) -> Result<Vec<u8>, SecretError> {
        match open(path) {
            Ok(file) => self.read(path, file, true),
            Err(errno) => Err(self.refused(path.to_owned(), errno)),
        }
    }

    /// Writes the text to a file beside the final one, then renames it: a crash leaves all of it or
    /// nothing.
    pub(crate) fn write(self, data_dir: &Path, text: &[u8]) -> io::Result<()> {
        // An interrupted start may leave it.
        let unfinished = data_dir.join(format!("{}.new", self.file));
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&unfinished)?;
        // The umask may have removed bits.
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&unfinished, data_dir.join(self.file))?;
        File::open(data_dir)?.sync_all()
    }

    fn refused(self, path: PathBuf, errno: Errno) -> SecretError {
        let what = self.what;
        match errno {
            // ELOOP: a symbolic link, because of O_NOFOLLOW. ENXIO: a socket, or a device without a
            // driver.
            Errno::LOOP | Errno::NXIO => SecretError::NotAFile { what, path },
            errno => SecretError::Unreadable { what, path, source: errno.into() },
        }
    }

    /// The digits of a file that nobody else can have read or written.
    fn read(self, path: &Path, file: File, of_root: bool) -> Result<Vec<u8>, SecretError> {
        let (what, at) = (self.what, || path.to_owned());
        let failed = |source| SecretError::Unreadable { what, path: at(), source };
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(SecretError::NotAFile { what, path: at() });
        }
        let (owner, user, mode) = (about.uid(), geteuid().as_raw(), about.mode() & 0o7777);
        if owner != user && !(of_root && owner == 0) {
            return Err(SecretError::Foreign { what, path: at(), owner, user });
        }
        let allowed = if of_root && about.gid() == 0 { GROUP_READ } else { 0 };
        if mode & OTHERS & !allowed != 0 {
            return Err(SecretError::Exposed { what, path: at(), mode });
        }
        let mut text = Vec::with_capacity(DIGITS + 2);
        file.take(DIGITS as u64 + 2).read_to_end(&mut text).map_err(failed)?;
        let digits = text.strip_suffix(b"\n").unwrap_or(&text);
        if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(SecretError::Malformed { what, path: at() });
        }
        Ok(digits.to_vec())
    }
}

// === impl SecretError ===

impl SecretError {
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

/// Whether two secrets are the same. Compares digests, always to the end, so that the time it takes
/// reveals nothing about them.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    same_digest(&Sha256::digest(a).into(), &Sha256::digest(b).into())
}

pub(crate) fn same_digest(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |all, (a, b)| black_box(all | (a ^ b))) == 0
}

/// 32 random bytes as hex digits.
pub(crate) fn random_digits() -> io::Result<String> {
    let bytes = random().ok_or_else(|| {
        io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel gave too few random bytes")
    })?;
    Ok(hex(&bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opens without following a link, and without waiting for the other end of a pipe.
fn open(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const SECRET: Secret = Secret { file: "a.secret", what: "secret" };

    #[test]
    fn a_file_of_root_may_be_read_by_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("given");
        let digits = "5c".repeat(32);
        fs::write(&path, format!("{digits}\n")).unwrap();
        let about = fs::metadata(&path).unwrap();
        let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        set(0o400);
        assert_eq!(SECRET.of_file(&path).unwrap(), digits.as_bytes());
        set(0o440);
        assert_eq!(SECRET.of_file(&path).is_ok(), about.gid() == 0);
        set(0o444);
        assert!(matches!(SECRET.of_file(&path), Err(SecretError::Exposed { mode: 0o444, .. })));
        let missing = SECRET.of_file(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, SecretError::Unreadable { .. }), "{missing}");
    }

    #[test]
    fn only_equal_secrets_are_the_same() {
        assert!(same(b"abc", b"abc") && same(b"", b""));
        for other in [&b"abd"[..], b"ab", b"abcd", b""] {
            assert!(!same(b"abc", other), "{other:?}");
        }
    }
}
