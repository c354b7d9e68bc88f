//! Groups below ours that no row of the journal names: whoever is in one is taken up as a run of
//! unknown origin, an empty one is removed.
//!
//! Whose a group is, its mark says ([`sentry_kernel::cgroup::Mark`]). That of a sensor with another
//! state directory is left to it, as long as that directory is there; one without a mark, which an
//! older version or somebody else made, is ours, too.

use std::{collections::HashSet, path::Path, time::Duration};

use sentry_detect::run::{Mode, RunId};
use sentry_kernel::{
    cgroup::{CgroupError, Mark, RUNS_DIR},
    kernel::Group,
};
use sentry_proto::v1;
use sentry_service::error_chain;
use uuid::Uuid;

use super::{Registry, Run, canary};

/// Agent of a run of which nothing is known.
pub const UNKNOWN: &str = "unknown";
/// A group without a mark that is younger may belong to an older sensor beside this one, whose run
/// is about to begin.
const YOUNG: Duration = Duration::from_secs(60);

/// The owner of a group.
enum Owner {
    /// The mode as far as it is known.
    Us(Option<Mode>),
    /// The group has no mark.
    Unmarked,
    /// The watch was ended on purpose.
    Released,
    AnotherSensor,
}

impl Registry {
    /// Marks a run's own group.
    pub(super) fn mark(&self, run: &Run, mode: Option<Mode>) {
        if !run.owned {
            return;
        }
        let mark = Mark { mode, state_dir: self.state_dir.clone() };
        if let Err(error) = run.cgroup.set_mark(&mark) {
            tracing::debug!(error = %error_chain(&error), run.id = %run.id, "cannot mark the run's cgroup");
        }
    }

    /// The runs in groups of ours that no live run has, as far as they are known: their processes
    /// are there, and nothing else is known of them. `strictest` is for those of which not even the
    /// mode is known. Empty groups are removed.
    #[must_use]
    pub fn unknown_runs(&self, strictest: Mode) -> Vec<v1::Run> {
        let names = self.groups.names_of_runs().unwrap_or_else(|error| {
            tracing::error!(error = %error_chain(&error), "cannot look for runs that are not known");
            Vec::new()
        });
        let known: HashSet<u64> = self.live().iter().map(|run| run.cgroup.id()).collect();
        let mut found = Vec::new();
        for name in names {
            match self.groups.open(&Path::new(RUNS_DIR).join(&name)) {
                Ok(cgroup) if known.contains(&cgroup.id()) || canary::is_name(&name) => {}
                Ok(cgroup) => match self.look_at(&*cgroup, strictest) {
                    Ok(run) => found.extend(run),
                    Err(error) => tracing::warn!(error = %error_chain(&error), "cannot look at a cgroup"),
                },
                Err(error) if error.is_gone() => {}
                Err(error) => tracing::warn!(error = %error_chain(&error), "cannot look at a cgroup"),
            }
        }
        found
    }

    fn look_at(&self, cgroup: &dyn Group, strictest: Mode) -> Result<Option<v1::Run>, CgroupError> {
        let owner = self.owner_of(cgroup);
        if cgroup.populated()? {
            return Ok(match owner {
                Owner::Us(mode) => Some(unknown(cgroup, mode.unwrap_or(strictest), self.clock.unix_ns())),
                Owner::Unmarked => Some(unknown(cgroup, strictest, self.clock.unix_ns())),
                Owner::Released | Owner::AnotherSensor => None,
            });
        }
        let over = match owner {
            Owner::Us(_) | Owner::Released => true,
            Owner::Unmarked => {
                let now = self.clock.wall_ns() / 1_000_000_000;
                now.saturating_sub(cgroup.changed_unix_s()?) > YOUNG.as_secs()
            }
            Owner::AnotherSensor => false,
        };
        if over {
            cgroup.remove()?;
            tracing::info!(path = %cgroup.path().display(), "an empty cgroup of an earlier run is removed");
        }
        Ok(None)
    }

    fn owner_of(&self, cgroup: &dyn Group) -> Owner {
        match cgroup.mark() {
            None => Owner::Unmarked,
            Some(Mark { mode: None, .. }) => Owner::Released,
            // A sensor whose state is gone does not come back for its runs.
            Some(Mark { mode, state_dir }) if state_dir == self.state_dir || !state_dir.exists() => {
                Owner::Us(mode)
            }
            Some(Mark { state_dir, .. }) => {
                let path = cgroup.path();
                tracing::debug!(path = %path.display(), owner = %state_dir.display(), "left to its sensor");
                Owner::AnotherSensor
            }
        }
    }
}

/// Named by its group, where that can be the id of a run.
fn unknown(cgroup: &dyn Group, mode: Mode, now_unix_ns: u64) -> v1::Run {
    let name = cgroup.below().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let id = Uuid::try_parse(&name).ok().filter(|id| id.to_string() == name);
    let began = id.and_then(|id| id.get_timestamp()).map(|time| {
        let (seconds, nanos) = time.to_unix();
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(nanos))
    });
    let RunId(id) = RunId(id.unwrap_or_else(Uuid::now_v7).to_string());
    v1::Run {
        id,
        agent: Some(v1::Agent { id: UNKNOWN.into(), name: UNKNOWN.into() }),
        mode: match mode {
            Mode::Observe => v1::Mode::Observe,
            Mode::Enforce => v1::Mode::Enforce,
        }
        .into(),
        cgroup_path: format!("/{}", cgroup.below().display()),
        cgroup_id: cgroup.id(),
        started_unix_ns: began.unwrap_or(now_unix_ns),
        ..v1::Run::default()
    }
}
