//! A canary's flight: begun, followed and ended in the kernel's tables.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sentry_common::{fact::Fact, table::RunTag};
use uuid::Uuid;

use super::{
    Registry, RunError,
    canary::{Canary, NAME, Progress},
};

/// How long the end of a killed canary may take.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Ends the canary when it goes.
pub struct Guard<'a> {
    registry: &'a Registry,
    canary: Arc<Canary>,
}

impl std::ops::Deref for Guard<'_> {
    type Target = Canary;

    fn deref(&self) -> &Canary {
        &self.canary
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.registry.end_canary(&self.canary);
    }
}

impl Registry {
    /// Starts a canary. The programs are attached as for any run.
    ///
    /// # Errors
    /// When there is no slot, or the cgroup or the tables refuse.
    pub fn start_canary(&self) -> Result<Guard<'_>, RunError> {
        let name = format!("{NAME}{}-{}", std::process::id(), Uuid::now_v7());
        let cgroup = match self.groups.own()? {
            Some(own) => self.groups.create_in(&own, &name)?,
            None => self.groups.create(&name)?,
        };
        let id = cgroup.id();
        let canary = {
            let mut tables = self.tables();
            let tag = tables.slots.take().ok_or(RunError::NoSlot)?;
            Arc::new(Canary::new(tag, cgroup, &*tables.programs))
        };
        let tag = canary.tag;
        *self.canary() = Some(Arc::clone(&canary));
        // From here on the guard cleans up.
        let guard = Guard { registry: self, canary };
        self.watch(id, tag)?;
        Ok(guard)
    }

    /// How far the records of `canary` have come.
    ///
    /// # Errors
    /// When the kernel refuses to read its counters.
    pub fn progress(&self, canary: &Canary) -> Result<Progress, RunError> {
        // Before the counters: what comes between the two is then not taken for read but never
        // made.
        let read = canary.read.load(Ordering::Relaxed);
        let block = self.tables().programs.run(canary.tag.slot)?;
        let left_out = block.lost.iter().chain(&block.throttled).sum();
        Ok(Progress { made: block.generated.iter().sum(), left_out, read })
    }

    fn end_canary(&self, canary: &Canary) {
        self.free(canary.tag);
        *self.canary() = None;
        // Its process has been killed; on a busy machine it may not be gone yet.
        let removed = canary.cgroup.kill(GONE_WITHIN).and_then(|()| canary.cgroup.remove());
        if let Err(error) = removed {
            tracing::warn!(error = %sentry_service::error_chain(&error), "cannot remove the canary's cgroup");
        }
    }

    /// Removes the cgroups of canaries whose sensor was killed while they flew. Those of a sensor
    /// that lives are its own.
    pub fn sweep_canaries(&self) {
        let runs = self.groups.mount().join(sentry_kernel::cgroup::RUNS_DIR);
        for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let sensor = name
                .to_str()
                .and_then(|name| name.strip_prefix(NAME)?.split('-').next()?.parse::<u32>().ok());
            if sensor.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
                && let Err(error) = std::fs::remove_dir(entry.path())
            {
                tracing::warn!(
                    %error,
                    path = %entry.path().display(),
                    "cannot remove an old canary's cgroup"
                );
            }
        }
    }

    /// Takes a record of the canary's. False when it is not one.
    pub fn of_canary(&self, tag: RunTag, kind: u16) -> bool {
        match &*self.canary() {
            Some(canary) if canary.tag == tag => {
                canary.see(kind);
                true
            }
            _ => false,
        }
    }

    /// Facts whose programs somebody has detached; empty while none is meant to be attached.
    ///
    /// # Errors
    /// When the process's own descriptors cannot be listed.
    pub fn detached(&self) -> std::io::Result<Vec<Fact>> {
        self.tables().programs.detached()
    }
}
