//! Groups made or opened in the hierarchy.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use rustix::{fs::Mode, io::Errno};

use super::{Cgroup, CgroupError, CgroupRoot, RUNS_DIR, files};

/// Mode of a directory that is made.
const MODE: Mode = Mode::from_raw_mode(0o755);

impl CgroupRoot {
    /// Makes the group of a run: `<mount>/agentsentry/<run>`.
    ///
    /// # Errors
    /// Where `run` is not one path component, exists already or cannot be made.
    pub fn create(&self, run: &str) -> Result<Cgroup, CgroupError> {
        let parent = Path::new(RUNS_DIR);
        match rustix::fs::mkdirat(self.dir(), parent, MODE) {
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
        rustix::fs::mkdirat(self.dir(), &below, MODE)
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
        let dir = files::open_dir(self.dir(), below).map_err(|error| match error {
            Errno::NOENT => CgroupError::Gone { path: path.clone() },
            Errno::XDEV | Errno::LOOP => self.outside(&path),
            other => CgroupError::io("open cgroup", &path, other),
        })?;
        Cgroup::new(self.clone(), dir, below.to_path_buf())
    }

    /// Stands for a removed group: every operation answers that the group is gone.
    ///
    /// # Errors
    /// Where no such stand-in can be made.
    pub fn gone(&self, below: &Path, id: u64) -> Result<Cgroup, CgroupError> {
        let stand_in = self.create(&format!("gone-{id}-{}", std::process::id()))?;
        stand_in.remove()?;
        Ok(stand_in.renamed(below, id))
    }

    fn outside(&self, path: &Path) -> CgroupError {
        CgroupError::Outside { path: path.into(), mount: self.mount().into() }
    }
}
