//! Where engines keep their files, and reading them within bounds.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use sentry_kernel::beneath::{self, Way};
use serde::{Serialize, de::DeserializeOwned};

use super::{Pods, Rung, path::is_file_name};

/// Most bytes of one file. An OCI configuration has some ten thousand.
pub(super) const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Most bytes of a name, an image or a label's value; a longer one is left out.
const TEXT_LIMIT_BYTES: usize = 4096;

/// The directories of engines. One that does not exist is passed over.
#[derive(Clone, Debug)]
pub struct Roots {
    /// State of containerd, with `io.containerd.runtime.v2.task` in it.
    pub containerd: Vec<PathBuf>,
    /// containers/storage of Podman and CRI-O: the directories at run time first.
    pub storage: Vec<PathBuf>,
    /// Docker's data.
    pub docker: Vec<PathBuf>,
    /// The cluster's name for this host.
    pub node: Option<String>,
    /// Filled by the kubelet, where it is asked.
    pub pods: Option<Arc<Pods>>,
    /// The container whose files could last not be read: each is complained of once.
    pub(super) unread: Arc<Mutex<String>>,
}

/// One more directory of each engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engines {
    pub containerd: Option<PathBuf>,
    pub storage: Option<PathBuf>,
    pub docker: Option<PathBuf>,
}

impl Default for Roots {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Roots {
    /// The usual places below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let all = |places: &[&str]| places.iter().map(|place| root.join(place)).collect();
        Self {
            containerd: all(&[
                "run/containerd",
                "run/k3s/containerd",
                "var/snap/microk8s/common/run/containerd",
            ]),
            storage: all(&["run/containers/storage", "var/lib/containers/storage"]),
            docker: all(&["var/lib/docker"]),
            node: None,
            pods: None,
            unread: Arc::default(),
        }
    }

    /// The same, with those looked at first.
    #[must_use]
    pub fn with(mut self, engines: &Engines) -> Self {
        let Engines { containerd, storage, docker } = engines;
        for (all, more) in
            [(&mut self.containerd, containerd), (&mut self.storage, storage), (&mut self.docker, docker)]
        {
            all.splice(0..0, more.clone());
        }
        self
    }

    /// The directories in which engines have a container's files.
    fn places(&self) -> impl Iterator<Item = PathBuf> {
        let containerd = self.containerd.iter().map(|root| root.join(TASKS));
        let docker = self.docker.iter().map(|root| root.join(CONTAINERS));
        containerd.chain(self.storage.iter().cloned()).chain(docker)
    }

    /// Whether any engine may have files here.
    pub(super) fn are_there(&self) -> bool {
        self.places().any(|place| place.is_dir())
    }

    /// Logs that a container's files cannot be read.
    pub(super) fn complain(&self, container: &str, error: &FileError) {
        let mut unread = self.unread.lock();
        if *unread != container {
            container.clone_into(&mut unread);
            tracing::warn!(
                error = %sentry_service::error_chain(error), container,
                "cannot read a container's files; its name stays unknown"
            );
        }
    }

    /// What of it can be read here.
    #[must_use]
    pub fn doctor(&self) -> Sources {
        let (engines, absent) = self.places().partition(|place| std::fs::read_dir(place).is_ok());
        let socket = PathBuf::from(POD_SOCKET);
        Sources { engines, absent, kubelet: socket.exists().then_some(socket) }
    }
}

/// containerd's directory of bundles, `<namespace>/<id>` below it.
pub(super) const TASKS: &str = "io.containerd.runtime.v2.task";
/// Docker's directory of containers.
pub(super) const CONTAINERS: &str = "containers";
/// Where the kubelet's Pods API listens.
const POD_SOCKET: &str = "/var/lib/kubelet/pods-api/pods-api.sock";

/// Where names of containers can come from on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// Directories of engines that can be read.
    pub engines: Vec<PathBuf>,
    /// Directories that are not there, not mounted, or closed.
    pub absent: Vec<PathBuf>,
    /// The socket of the kubelet's Pods API.
    pub kubelet: Option<PathBuf>,
}

impl Sources {
    /// The highest rung that needs no configuration.
    #[must_use]
    pub fn rung(&self) -> Rung {
        if self.engines.is_empty() { Rung::Path } else { Rung::Files }
    }
}

/// Why a file of an engine was not read. An absent one is not an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a regular file")]
    Kind { path: PathBuf },
    #[error("{path} has more than {FILE_LIMIT_BYTES} bytes; it is not read")]
    Size { path: PathBuf },
    #[error("{path} is not the JSON that its engine writes")]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// The file at `names` below `dir`; `None` when it or the directory does not exist. Nothing outside
/// of `dir` is opened: neither through links nor through names such as `..`.
pub(super) fn read(dir: &Path, names: &[&str]) -> Result<Option<Vec<u8>>, FileError> {
    let below: PathBuf = names.iter().collect();
    let path = dir.join(&below);
    let failed = |error: Errno| match error {
        Errno::NOENT | Errno::NOTDIR => Ok(None),
        other => Err(FileError::Io { path: path.clone(), source: other.into() }),
    };
    if !names.iter().all(|name| is_file_name(name)) {
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = match rustix::fs::open(dir, flags, Mode::empty()) {
        Ok(dir) => dir,
        Err(error) => return failed(error),
    };
    // A pipe in its place must not hold the sensor up.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match beneath::open(&dir, &below, flags, Way::OneMount) {
        Ok(file) => File::from(file),
        Err(error) => return failed(error),
    };
    let failed = |source| FileError::Io { path: path.clone(), source };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(FileError::Kind { path });
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_LIMIT_BYTES {
        return Err(FileError::Size { path });
    }
    Ok(Some(bytes))
}

/// The same, as JSON.
pub(super) fn read_json<T: DeserializeOwned>(dir: &Path, names: &[&str]) -> Result<Option<T>, FileError> {
    let Some(bytes) = read(dir, names)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|source| {
        let path = dir.join(names.iter().collect::<PathBuf>());
        FileError::Json { path, source }
    })
}

/// A name out of an engine's file: not empty, of bounded length, without control characters.
pub(super) fn text(text: impl Into<String>) -> Option<String> {
    let text = text.into();
    let fits = !text.is_empty() && text.len() <= TEXT_LIMIT_BYTES && !text.chars().any(char::is_control);
    fits.then_some(text)
}
