//! What the sensor runs with: defaults, then the file, then flags; one valid [`Config`] before
//! anything opens.
//!
//! - `file`: the YAML as typed, where wrong values are found with their line and column.
//! - `defaults`: the one table of defaults; the example file is printed from it.
//! - `select`: which cgroups are agents.
//! - `rules`: rules of somebody's own, out of the files that it names.
//! - `sensitive`: which files are sensitive, beside those that are anyway.
//! - `validate`: the layers put together and checked against each other.
//! - `policy`: what holds for runs; `current`: the one that holds now, and how it is replaced.
//! - `check`: the files that it names, for `sentry config check`.
//!
//! Limits: the file may have 1 MiB. A key that is not known is an error, so that a mistyped rule is
//! never a rule that does not hold.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use sentry_detect::{rule::settings::Settings, run::Mode};

use crate::{
    AgentName,
    container::{Engines, kubelet::Kubelet},
    select::Selector,
};

mod error;

mod export;

mod policy;

mod scalar;

pub mod check;

mod current;

pub mod defaults;

mod containers;

mod file;

pub mod rules;

mod select;

mod sensitive;

mod validate;

pub use current::{Asked, Change, Current, Holder};
pub use error::ConfigError;
pub use export::{Export, FileSink};
pub use policy::Policy;
pub use validate::Flags;

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub sensor: Sensor,
    pub journal: Journal,
    pub rings: Rings,
    pub evidence: Evidence,
    pub baselines: Baselines,
    pub collector: Collector,
    /// Files that events and findings are written to as well.
    pub export: Export,
    pub metrics: Metrics,
    pub containers: Containers,
    /// What can change while the sensor runs.
    pub policy: Policy,
}

/// This sensor and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// Letters, digits, `.`, `_` and `-`; at most 128.
    pub id: String,
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    /// Group whose members may use the socket; `None`: root alone.
    pub group: Option<String>,
}

/// The local store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Items that the collector has not acknowledged.
    pub spool_bytes: u64,
    /// All items kept for questions and reports.
    pub keep_bytes: u64,
}

/// Ring buffers between the kernel and the sensor; each a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    pub critical_bytes: u32,
    pub bulk_bytes: u32,
}

/// What is recorded beyond what the kernel reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// SHA-256 of each executed file.
    pub hash_executed: bool,
}

/// What is normal for each agent, and when a departure from it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baselines {
    pub learn: bool,
    /// Length of the windows that runs are folded into.
    pub window: Duration,
    /// What it takes until an agent is known.
    pub min_runs: u32,
    pub min_windows: u32,
    /// Between two findings of one cause in a run.
    pub cool_down: Duration,
}

/// Where metrics are shown beside the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Answers HTTP; `None`: there is none.
    pub socket: Option<PathBuf>,
    /// For `node_exporter`; `None`: there is none.
    pub textfile: Option<PathBuf>,
    /// Time between two writings of that.
    pub every: Duration,
}

/// Where items are streamed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collector {
    Disabled,
    Enabled { endpoint: Endpoint, proof: Proof },
}

/// How sensor and collector prove to each other who they are; each endpoint has its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `https`: by certificates.
    Tls(TlsFiles),
    /// `http`: by a key that both have, in a file of mode 0600 that is read anew for every
    /// connection.
    Key(PathBuf),
    /// `unix`: by the kernel's word. Root may be the collector, the sensor's own user, and this
    /// one, by name or number.
    Peer { user: Option<String> },
}

/// Address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://HOST:PORT`
    Http { host: String, port: u16 },
    /// `https://HOST:PORT`
    Https { host: String, port: u16 },
    /// `unix:/PATH`
    Unix(PathBuf),
}

/// PEM files of mutual TLS; absolute paths, read anew for every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signed the collector's certificate.
    pub ca: PathBuf,
    /// This sensor's certificate, for its id.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Where names of containers and pods are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// Directories of engines, beside the usual ones.
    pub engines: Engines,
    /// The cluster's name for this host.
    pub node: Option<String>,
    /// Asked for the pods of this host; `None`: it is not.
    pub kubelet: Option<Kubelet>,
}

/// What holds for the runs of one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub name: AgentName,
    /// The least that its runs get: a run can raise its mode to `enforce`, never lower it.
    pub mode: Mode,
    pub settings: Settings,
    /// Which cgroups are its runs though nobody asks for that.
    pub selectors: Vec<Selector>,
}

// === impl Sensor ===

impl Sensor {
    /// Where the socket is: a directory of the sensor's own that is writable wherever it runs.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        self.socket.parent().unwrap_or(Path::new("/"))
    }
}

// === impl Endpoint ===

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
