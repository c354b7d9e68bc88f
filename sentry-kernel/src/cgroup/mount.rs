//! The hierarchy: its mount, and the place of this process in it.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustix::fs::{Mode, OFlags};

use super::{CgroupError, own, parse};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// The cgroup v2 hierarchy of this host.
#[derive(Debug, Clone)]
pub struct CgroupRoot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mount: PathBuf,
    dir: OwnedFd,
    inode: u64,
    /// Looked up once, because a sensor stays where it was started.
    own: OnceLock<Option<PathBuf>>,
}

impl CgroupRoot {
    /// Finds the mount in the mount table of this process. Skips a mount that is covered by
    /// another.
    ///
    /// # Errors
    /// Where there is none, or it cannot be opened.
    pub fn find() -> Result<Self, CgroupError> {
        let text =
            fs::read_to_string(MOUNTINFO).map_err(|source| CgroupError::io("read", MOUNTINFO, source))?;
        let mut first_error = None;
        for mount in parse::cgroup2_mounts(&text) {
            match Self::at(&mount) {
                Ok(root) => return Ok(root),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(CgroupError::NoMount { path: MOUNTINFO.into() }))
    }

    /// The hierarchy that is mounted at `mount`.
    ///
    /// # Errors
    /// Where `mount` cannot be opened or is not a cgroup v2 file system.
    pub fn at(mount: &Path) -> Result<Self, CgroupError> {
        let root = Self::open_at(mount)?;
        let stat = rustix::fs::fstatfs(&root.inner.dir)
            .map_err(|error| CgroupError::io("read the file system type of", mount, error))?;
        if stat.f_type != CGROUP2_MAGIC {
            return Err(CgroupError::NotCgroup2 { path: mount.into() });
        }
        Ok(root)
    }

    /// Any directory as a hierarchy; tests use it on a plain tree of files.
    pub(super) fn open_at(mount: &Path) -> Result<Self, CgroupError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(mount, flags, Mode::empty())
            .map_err(|error| CgroupError::io("open the cgroup mount", mount, error))?;
        let inode = rustix::fs::fstat(&dir)
            .map_err(|error| CgroupError::io("read the inode of", mount, error))?
            .st_ino;
        Ok(Self { inner: Arc::new(Inner { mount: mount.into(), dir, inode, own: OnceLock::new() }) })
    }

    #[must_use]
    pub fn mount(&self) -> &Path {
        &self.inner.mount
    }

    /// Id of the root cgroup, as BPF programs see it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.inode
    }

    pub(super) fn dir(&self) -> &OwnedFd {
        &self.inner.dir
    }

    /// Where this process is, below the mount, if it lives in a cgroup namespace of its own, as in
    /// a container. It can move processes only below there: the kernel answers `ENOENT` elsewhere
    /// where the hierarchy is mounted with `nsdelegate`, as systemd does.
    ///
    /// # Errors
    /// Where it is in no group that the mount shows.
    pub fn own(&self) -> Result<Option<&Path>, CgroupError> {
        if self.inner.own.get().is_none() {
            let found = own::find(self.mount())?;
            // Another thread may have set it first, to the same value.
            self.inner.own.get_or_init(|| found);
        }
        Ok(self.inner.own.get().and_then(Option::as_deref))
    }
}
