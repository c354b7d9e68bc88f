//! Why something about a run was refused.

use crate::{bpf::LoadError, cgroup::CgroupError};

/// What can go wrong with runs.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "all {} run slots are taken; end a run with `sentry kill` or `sentry untag` first",
        sentry_common::table::RUN_SLOTS
    )]
    NoSlot,
    #[error("cgroup {path} belongs to run {run} already; `sentry untag {run}` ends that")]
    Tagged { path: String, run: String },
    #[error(
        "run {run} is below cgroup {path}, and a process belongs to one run; `sentry untag {run}` or `sentry kill {run}` first"
    )]
    Contains { path: String, run: String },
    #[error("cgroup {path} holds the runs that the sensor makes; tag another one")]
    OfTheSensor { path: String },
    #[error("no run matches `{target}`; `sentry agents --all` lists them")]
    Unknown { target: String },
    #[error("`{target}` matches {count} runs; give more of the run id, `sentry agents` lists them")]
    Ambiguous { target: String, count: usize },
    #[error("run {run} has ended")]
    Ended { run: String },
    #[error("no process is left in the cgroup of run {run}")]
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
