//! Why something about a run was refused.

use sentry_kernel::{bpf::LoadError, cgroup::CgroupError};

use super::share::{AWAITED_OF_ONE, NEVER_ENTERED, RUNS_OF_ONE, RUNS_OF_USERS};

/// What can go wrong with runs.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "all {} run slots are taken; end a run with `sentry kill` or `sentry untag` first",
        sentry_common::table::RUN_SLOTS
    )]
    NoSlot,
    #[error(
        "uid {uid} has {RUNS_OF_ONE} live runs, the most of one user; end one with `sentry kill` first, \
        `sentry agents` lists them"
    )]
    Share { uid: u32 },
    #[error(
        "{AWAITED_OF_ONE} runs of uid {uid} wait for their command, the most of one user; enter them \
        (`sentry run` does), or try again in {} s: a run that nobody enters is dropped then",
        NEVER_ENTERED.as_secs()
    )]
    Awaited { uid: u32 },
    #[error(
        "users have {RUNS_OF_USERS} live runs, and the other slots are root's; ask an administrator to end \
        some with `sentry kill`"
    )]
    Reserved,
    #[error("cgroup {path} belongs to run {run} already; `sentry untag {run}` ends that")]
    Tagged { path: String, run: String },
    #[error(
        "run {run} is below cgroup {path}, and a process belongs to one run; `sentry untag {run}` or `sentry \
        kill {run}` first"
    )]
    Contains { path: String, run: String },
    #[error("cgroup {path} holds the runs that the sensor makes; tag another one")]
    OfTheSensor { path: String },
    #[error("cgroup {path} holds {what}, which a freeze or kill of it would stop; tag another one")]
    Protected { path: String, what: &'static str },
    #[error("no run matches `{target}`; `sentry agents --all` lists them")]
    Unknown { target: String },
    #[error("`{target}` matches {count} runs; give more of the run id, `sentry agents --all` lists them")]
    Ambiguous { target: String, count: usize },
    #[error("run {run} has ended: nothing of it is left to act on; `sentry report {run}` says what it did")]
    Ended { run: String },
    #[error(
        "no process is left in the cgroup of run {run}; it ends by itself, `sentry report {run}` says what it did"
    )]
    Deserted { run: String },
    #[error("process {pid} cannot enter run {run}")]
    Enter {
        pid: u32,
        run: String,
        #[source]
        source: CgroupError,
    },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Kernel(#[from] LoadError),
}

impl RunError {
    /// The cgroup is not there any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Cgroup(error) if error.is_gone())
    }
}
