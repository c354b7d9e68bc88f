//! Opens a file below a directory and nowhere else, whatever links and mounts an agent has made.
//!
//! `openat2(2)` does it in one call. Where a seccomp filter answers that call with `ENOSYS`
//! (systemd's `RestrictSUIDSGID=` does, as of version 252), the path is walked one directory at a
//! time instead. The walk allows no link at all, so it opens either the same file as `openat2` or
//! none.

use std::{
    ffi::OsStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags},
    io::Errno,
};

/// What the path may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One mount and no links; the path is relative.
    OneMount,
    /// Any mount. Links are resolved within the directory, as if it were the root; without
    /// `openat2`, a link is refused with `ELOOP`. A leading slash means the directory.
    AsRoot,
}

/// Opens `path` below `dir`.
///
/// # Errors
/// Those of `openat2(2)`; `EXDEV` where the path leaves the directory or its mount, `ELOOP` at a
/// link.
pub fn open(dir: impl AsFd, path: &Path, flags: OFlags, way: Way) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let resolve = match way {
        Way::OneMount => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
        Way::AsRoot => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    };
    match rustix::fs::openat2(dir.as_fd(), path, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS) => walk(dir.as_fd(), path, flags, way),
        other => other,
    }
}

fn walk(dir: BorrowedFd<'_>, path: &Path, flags: OFlags, way: Way) -> rustix::io::Result<OwnedFd> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::RootDir if way == Way::AsRoot => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(Errno::XDEV);
            }
        }
    }
    let last = names.pop().unwrap_or(OsStr::new("."));
    let mut here = step(dir, OsStr::new("."), OFlags::PATH | OFlags::DIRECTORY)?;
    let mount = mount_of(here.as_fd())?;
    let stays = |at: BorrowedFd<'_>| match way {
        Way::OneMount if mount_of(at)? != mount => Err(Errno::XDEV),
        Way::OneMount | Way::AsRoot => Ok(()),
    };
    for name in names {
        here = step(here.as_fd(), name, OFlags::PATH | OFlags::DIRECTORY)?;
        stays(here.as_fd())?;
    }
    let file = step(here.as_fd(), last, flags)?;
    // With `O_PATH | O_NOFOLLOW` a link itself is opened.
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind == rustix::fs::FileType::Symlink {
        return Err(Errno::LOOP);
    }
    stays(file.as_fd())?;
    Ok(file)
}

/// Here a link in the middle of a path gives `ENOTDIR`: turned into the error of `openat2`, which
/// callers expect.
fn step(dir: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|error| {
        let is_link = error == Errno::NOTDIR
            && rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
                rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink
            });
        if is_link { Errno::LOOP } else { error }
    })
}

fn mount_of(file: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|found| found.stx_mnt_id)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// Opens in both ways and expects the same: the inode, or the error.
    fn both(dir: &Path, path: &str, flags: OFlags, way: Way) -> [Result<u64, Errno>; 2] {
        let dir = fs::File::open(dir).unwrap();
        let inode = |file: OwnedFd| rustix::fs::fstat(&file).map(|stat| stat.st_ino);
        let path = Path::new(path);
        [
            open(&dir, path, flags, way).and_then(inode),
            walk(dir.as_fd(), path, flags | OFlags::CLOEXEC, way).and_then(inode),
        ]
    }

    #[test]
    fn without_openat2_the_same_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "x").unwrap();
        for way in [Way::OneMount, Way::AsRoot] {
            for path in ["a/b/file", "a/./b/file", "a/b", "a", "."] {
                let [by_call, by_walk] = both(dir.path(), path, OFlags::RDONLY, way);
                assert!(by_call.is_ok(), "{way:?} {path}: {by_call:?}");
                assert_eq!(by_call, by_walk, "{way:?} {path}");
            }
        }
        let [by_call, by_walk] = both(dir.path(), "/a/b/file", OFlags::PATH, Way::AsRoot);
        assert!(by_call.is_ok(), "{by_call:?}");
        assert_eq!(by_call, by_walk);
    }

    #[test]
    fn without_openat2_the_same_errors_come_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let expected = [
            ("missing", Errno::NOENT),
            ("file/below", Errno::NOTDIR),
            ("link", Errno::LOOP),
            ("link/below", Errno::LOOP),
            ("out", Errno::LOOP),
            ("../a", Errno::XDEV),
            ("/etc/passwd", Errno::XDEV),
        ];
        for flags in [OFlags::RDONLY, OFlags::PATH] {
            for (path, error) in expected {
                let answers = both(dir.path(), path, flags, Way::OneMount);
                assert_eq!(answers, [Err(error), Err(error)], "{path} {flags:?}");
            }
        }
        // The walk never follows a link, where `openat2` keeps it inside of the directory.
        let [_, by_walk] = both(dir.path(), "out", OFlags::PATH, Way::AsRoot);
        assert_eq!(by_walk, Err(Errno::LOOP));
    }

    #[test]
    fn another_mount_is_refused_unless_it_is_allowed() {
        // `/proc` is a mount of its own wherever the tests run.
        let across = |way| both(Path::new("/"), "proc/self/stat", OFlags::PATH, way);
        let [by_call, by_walk] = both(Path::new("/"), "proc", OFlags::PATH, Way::OneMount);
        assert_eq!((by_call, by_walk), (Err(Errno::XDEV), Err(Errno::XDEV)));
        assert_eq!(across(Way::OneMount)[0], Err(Errno::XDEV));
        assert_eq!(across(Way::OneMount)[1], Err(Errno::XDEV));
        let [by_call, by_walk] = both(Path::new("/"), "proc/version", OFlags::PATH, Way::AsRoot);
        assert!(by_call.is_ok(), "{by_call:?}");
        assert_eq!(by_call, by_walk);
    }
}
