//! The hierarchy: where it is mounted, and groups made or opened in it.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{CgroupError, RUNS_DIR, files, handle::Cgroup, own, parse};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Of a group that is made.
const MODE: Mode = Mode::from_raw_mode(0o755);

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
    /// Found once: a sensor stays where it was started.
    own: OnceLock<Option<PathBuf>>,
}

impl CgroupRoot {
    /// Finds the mount in the mount table of this process. A mount that another one covers is passed over.
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
            // Another thread may have been first, with the same.
            self.inner.own.get_or_init(|| found);
        }
        Ok(self.inner.own.get().and_then(Option::as_deref))
    }

    /// Makes the group of a run: `<mount>/agentsentry/<run>`.
    ///
    /// # Errors
    /// Where `run` is not one path component, exists already or cannot be made.
    pub fn create(&self, run: &str) -> Result<Cgroup, CgroupError> {
        let parent = Path::new(RUNS_DIR);
        match rustix::fs::mkdirat(&self.inner.dir, parent, MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(CgroupError::io("make cgroup", self.mount().join(parent), error)),
        }
        self.create_in(parent, run)
    }

    /// Makes a group in the one at `parent` below the mount.
    ///
    /// # Errors
    /// Where `name` is not one path component, exists already or cannot be made.
    pub fn create_in(&self, parent: &Path, name: &str) -> Result<Cgroup, CgroupError> {
        let mut components = Path::new(name).components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return Err(CgroupError::BadName { path: name.into() });
        }
        let below = parent.join(name);
        rustix::fs::mkdirat(&self.inner.dir, &below, MODE)
            .map_err(|error| CgroupError::io("make cgroup", self.mount().join(&below), error))?;
        self.open_below(&below)
    }

    /// Opens an existing group: `path` is absolute in the file system, or relative to the mount.
    ///
    /// # Errors
    /// Where it is outside of the mount, the root, not a domain group, or cannot be opened.
    pub fn open(&self, path: &Path) -> Result<Cgroup, CgroupError> {
        let below = if path.is_absolute() { self.below_mount(path)? } else { path.to_path_buf() };
        let below: PathBuf = below.components().filter(|part| !matches!(part, Component::CurDir)).collect();
        if below.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(self.outside(path));
        }
        if below.as_os_str().is_empty() {
            return Err(CgroupError::IsRoot { path: self.mount().into() });
        }
        self.open_below(&below)
    }

    /// The path of an absolute argument below the mount; links before the mount are followed.
    fn below_mount(&self, path: &Path) -> Result<PathBuf, CgroupError> {
        let canonical = |path: &Path| {
            fs::canonicalize(path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => CgroupError::Gone { path: path.into() },
                _ => CgroupError::io("open cgroup", path, source),
            })
        };
        let real = canonical(path)?;
        let below = real.strip_prefix(canonical(self.mount())?).map_err(|_not_below| self.outside(path))?;
        Ok(below.to_path_buf())
    }

    fn open_below(&self, below: &Path) -> Result<Cgroup, CgroupError> {
        let path = self.mount().join(below);
        let dir = files::open_dir(&self.inner.dir, below).map_err(|error| match error {
            Errno::NOENT => CgroupError::Gone { path: path.clone() },
            Errno::XDEV | Errno::LOOP => self.outside(&path),
            other => CgroupError::io("open cgroup", &path, other),
        })?;
        Cgroup::new(self.clone(), dir, below.to_path_buf())
    }

    /// A group that was there and is not any more: everything it is asked says that it is gone.
    ///
    /// # Errors
    /// Where no group can be made to stand for it.
    pub fn gone(&self, below: &Path, id: u64) -> Result<Cgroup, CgroupError> {
        let stand_in = self.create(&format!("gone-{id}-{}", std::process::id()))?;
        stand_in.remove()?;
        Ok(stand_in.renamed(below, id))
    }

    fn outside(&self, path: &Path) -> CgroupError {
        CgroupError::Outside { path: path.into(), mount: self.mount().into() }
    }
}
