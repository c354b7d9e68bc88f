//! Files and directories that nobody but this process's user, or root, can have written: what
//! sensor and collector keep. Whoever can write there could forge the record, or have a privileged
//! process write to a place of their choice by a link.
//!
//! A directory is taken if it and every directory above it belong to root or to this process's
//! user, and no other user can rename what is in them: not writable by group or others, save one
//! with the sticky bit above it, or a group of root's. A file is opened without following a link,
//! and taken if it is a regular one with such an owner that no other user can write to. One that
//! others can read is closed to them; directories are made with mode 0700, files with 0600.
#![forbid(unsafe_code)]

mod format;

use std::{
    fs::{DirBuilder, File, Metadata, OpenOptions, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{
            DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
        },
    },
    path::{Path, PathBuf},
};

pub use format::claim_format;
use rustix::fs::OFlags;

/// Why a file or directory is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error("cannot {act} {path}", path = path.display())]
    Io {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "refused to use {path}: it belongs to user {owner}, who can change what is kept there; if its content can be \
         trusted, `chown {user}` it, else choose another directory", path = path.display()
    )]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "refused to use {path}: with mode {mode:04o} other users can change what is kept there; if its content can be \
         trusted, `chmod go-w` it, else choose another directory", path = path.display()
    )]
    Writable { path: PathBuf, mode: u32 },
    #[error(
        "refused to use {path}: it is {what}, and none is made there; look who made it, then remove it",
        path = path.display()
    )]
    Kind { path: PathBuf, what: &'static str },
    #[error(
        "refused to use {path}: it has format {found}, and this version knows {known}; a newer version wrote \
         it and nothing in it was touched: install that version again, or move the directory away",
        path = path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error(
        "refused to use {path}: it has no format number in it; put the number of the version that wrote the \
         directory there, or move the directory away",
        path = path.display()
    )]
    NoFormat { path: PathBuf },
}

impl PrivateError {
    fn io(act: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path: path.clone(), source }
    }

    /// There is no such file.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

const WRITABLE_BY_OTHERS: u32 = 0o022;
const OPEN_TO_OTHERS: u32 = 0o077;
const STICKY: u32 = 0o1000;

/// Makes the directory if it is not there. Returns its path without links in it.
///
/// # Errors
/// It cannot be made, or is not to be trusted.
pub fn make_dir(path: &Path) -> Result<PathBuf, PrivateError> {
    let path = std::path::absolute(path).map_err(PrivateError::io("find", path))?;
    // What is there is looked at first: nothing is made behind a link of somebody else.
    let there = path.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok());
    if let Some(parent) = there.filter(|there| *there != path) {
        check_way(parent)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(PrivateError::io("make", &path))?;
    check_way(&path)?;
    let real = path.canonicalize().map_err(PrivateError::io("find", &path))?;
    check_way(&real)?;
    let about = real.symlink_metadata().map_err(PrivateError::io("look at", &real))?;
    // Nor does the sticky bit help here: others could put files in it.
    if about.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(PrivateError::Writable { path: real, mode: about.mode() & 0o7777 });
    }
    Ok(real)
}

/// Opens a file without following a link; one that is made has mode 0600.
///
/// # Errors
/// It cannot be opened, or is not to be trusted.
pub fn open(path: &Path, options: &mut OpenOptions) -> Result<File, PrivateError> {
    // Without waiting for the other end of a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|source| match rustix::io::Errno::from_io_error(&source) {
        Some(rustix::io::Errno::LOOP) => {
            PrivateError::Kind { path: path.to_owned(), what: "a symbolic link" }
        }
        _ => PrivateError::io("open", path)(source),
    })?;
    check(path, &file)?;
    Ok(file)
}

/// The whole of a small file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> Result<Vec<u8>, PrivateError> {
    let mut content = Vec::new();
    let mut file = open(path, OpenOptions::new().read(true))?;
    io::Read::read_to_end(&mut file, &mut content).map_err(PrivateError::io("read", path))?;
    Ok(content)
}

/// Checks a file that another library opens by its path, and makes it if asked to. A file that is
/// there is not opened for reading: to close it again would take this process's locks off it.
///
/// # Errors
/// As [`open`].
pub fn prepare(path: &Path, make: bool) -> Result<(), PrivateError> {
    let mut by_path = OpenOptions::new();
    by_path.read(true).custom_flags((OFlags::PATH | OFlags::NOFOLLOW).bits().cast_signed());
    match by_path.open(path).map_err(PrivateError::io("look at", path)) {
        Ok(file) => check(path, &file),
        Err(error) if error.is_absent() && make => {
            open(path, OpenOptions::new().write(true).create_new(true)).map(drop)
        }
        Err(error) if error.is_absent() => Ok(()),
        Err(error) => Err(error),
    }
}

fn check(path: &Path, file: &File) -> Result<(), PrivateError> {
    let about = file.metadata().map_err(PrivateError::io("look at", path))?;
    let kind = about.file_type();
    if !kind.is_file() {
        let what = match kind {
            kind if kind.is_symlink() => "a symbolic link",
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a pipe",
            _ => "no regular file",
        };
        return Err(PrivateError::Kind { path: path.to_owned(), what });
    }
    check_owner(path, &about)?;
    let mode = about.mode() & 0o7777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(PrivateError::Writable { path: path.to_owned(), mode });
    }
    if mode & OPEN_TO_OTHERS != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "closed a file to other users");
        // By its descriptor, also where that is one for the path alone.
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        std::fs::set_permissions(itself, Permissions::from_mode(mode & !OPEN_TO_OTHERS))
            .map_err(PrivateError::io("change the mode of", path))?;
    }
    Ok(())
}

fn check_owner(path: &Path, about: &Metadata) -> Result<(), PrivateError> {
    let (owner, user) = (about.uid(), rustix::process::geteuid().as_raw());
    if owner == 0 || owner == user {
        return Ok(());
    }
    Err(PrivateError::Foreign { path: path.to_owned(), owner, user })
}

/// Nobody else can exchange one of the directories on the way to `path`, nor the last one.
fn check_way(path: &Path) -> Result<(), PrivateError> {
    for step in path.ancestors() {
        let about = step.symlink_metadata().map_err(PrivateError::io("look at", step))?;
        check_owner(step, &about)?;
        let mode = about.mode() & 0o7777;
        let writable = mode & WRITABLE_BY_OTHERS;
        let of_root = writable == 0o020 && about.gid() == 0;
        // The mode of a link means nothing.
        if writable != 0 && mode & STICKY == 0 && !of_root && !about.is_symlink() {
            return Err(PrivateError::Writable { path: step.to_owned(), mode });
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{
        fs,
        os::unix::fs::{chown, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Also with `prepare`, which is for files that others open.
    fn refusal(path: &Path) -> String {
        let refused = open(path, OpenOptions::new().write(true).create(true).truncate(false)).unwrap_err();
        assert_eq!(prepare(path, true).unwrap_err().to_string(), refused.to_string());
        refused.to_string()
    }

    #[test]
    fn what_is_made_is_closed_to_others() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        assert_eq!(make_dir(&dir).unwrap(), dir.canonicalize().unwrap());
        assert_eq!((mode(&home.path().join("a")), mode(&dir)), (0o700, 0o700));
        drop(open(&dir.join("f"), OpenOptions::new().write(true).create(true)).unwrap());
        prepare(&dir.join("g"), true).unwrap();
        prepare(&dir.join("h"), false).unwrap();
        assert_eq!((mode(&dir.join("f")), mode(&dir.join("g"))), (0o600, 0o600));
        assert!(!dir.join("h").exists());
    }

    #[test]
    fn what_others_can_read_is_closed_to_them() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (home.path().join("one"), home.path().join("two"));
        for path in [&one, &two] {
            fs::write(path, "kept").unwrap();
            set_mode(path, 0o644);
        }
        assert_eq!(read(&one).unwrap(), b"kept");
        prepare(&two, false).unwrap();
        assert_eq!((mode(&one), mode(&two)), (0o600, 0o600));
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("f");
        fs::write(&path, "").unwrap();
        for writable in [0o620, 0o602, 0o666] {
            set_mode(&path, writable);
            let said = refusal(&path);
            assert!(said.contains(&format!("mode {writable:04o}")) && said.contains("chmod go-w"), "{said}");
        }
    }

    #[test]
    fn a_link_or_a_pipe_is_refused_and_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (path, target) = (home.path().join("f"), home.path().join("target"));
        symlink(&target, &path).unwrap();
        assert!(refusal(&path).contains("a symbolic link"));
        assert!(!target.exists());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("a pipe"));
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused_wherever_it_stands() {
        let home = tempfile::tempdir().unwrap();
        let (above, dir) = (home.path().join("above"), home.path().join("above/dir"));
        make_dir(&dir).unwrap();
        let refused = |what: &str| {
            let said = make_dir(&dir).unwrap_err().to_string();
            assert!(said.contains(what) && said.contains("other users"), "{said}");
        };
        set_mode(&dir, 0o1777);
        refused("mode 1777");
        set_mode(&dir, 0o755);
        set_mode(&above, 0o777);
        refused("mode 0777");
        // As /tmp is: nobody else can rename what is ours in it.
        set_mode(&above, 0o1777);
        make_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o755, "a directory stays as its owner wants it");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let (dir, path) = (home.path().join("dir"), home.path().join("dir/f"));
        make_dir(&dir).unwrap();
        fs::write(&path, "").unwrap();
        chown(&path, Some(64_001), None).unwrap();
        let said = refusal(&path);
        assert!(said.contains("belongs to user 64001") && said.contains("chown 0"), "{said}");
        chown(&dir, Some(64_001), None).unwrap();
        assert!(matches!(make_dir(&dir), Err(PrivateError::Foreign { owner: 64_001, .. })));
        assert!(matches!(make_dir(&dir.join("below")), Err(PrivateError::Foreign { owner: 64_001, .. })));
        assert!(!dir.join("below").exists(), "nothing is made where it is not safe");
        // A link of somebody else's.
        let link = home.path().join("link");
        symlink("/var", &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(64_001), None).unwrap();
        assert!(matches!(make_dir(&link.join("x")), Err(PrivateError::Foreign { .. })));
    }
}
