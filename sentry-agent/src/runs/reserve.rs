//! Cgroups that may be an agent's: the kernel watches each in a slot held in reserve, until
//! [`crate::stage::select`] has decided.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use sentry_common::table::{RUN_SLOTS, RunTag};
use sentry_detect::run::RunId;
use sentry_kernel::{
    bpf::LoadError,
    cgroup::CgroupError,
    kernel::{Group, Programs},
};
use uuid::Uuid;

use super::{Registry, Run, RunError, Start, begin::New, candidates::Standing};
use crate::select::{self, Selection};

/// Slots that are left to runs that somebody asks for.
const LEFT_FREE: usize = RUN_SLOTS as usize / 4;

impl Registry {
    /// Has the kernel ask about what these selectors may mean, and fills the reserve; or empties
    /// it, where there are none.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn select(&self, selection: &Selection) -> Result<(), LoadError> {
        self.tables().programs.select(select::rows(selection))?;
        if selection.is_empty() { self.empty_reserve() } else { self.fill_reserve() }
    }

    /// Attaches all programs, since no first act may be missed, and puts slots where the kernel
    /// took some.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn fill_reserve(&self) -> Result<(), LoadError> {
        let _attaching = self.attaching();
        let mut tables = self.tables();
        tables.programs.arm()?;
        let spares = tables.programs.spares()?;
        let mut candidates = self.candidates();
        candidates.reserve.resize(spares.len(), None);
        for (place, there) in spares.into_iter().enumerate() {
            if there.is_some() {
                continue;
            }
            if let Some(taken) = candidates.reserve[place].take() {
                candidates.undecided.entry(taken).or_insert_with(|| self.clock.now());
            }
            if tables.slots.free() <= LEFT_FREE {
                continue;
            }
            let Some(tag) = tables.slots.take() else { continue };
            // Known as reserved before the kernel can take it.
            candidates.reserve[place] = Some(tag);
            put(&mut *tables.programs, place, tag).inspect_err(|_error| candidates.reserve[place] = None)?;
        }
        Ok(())
    }

    fn empty_reserve(&self) -> Result<(), LoadError> {
        let mut reserve = std::mem::take(&mut self.candidates().reserve);
        for (place, tag) in reserve.iter_mut().enumerate() {
            let Some(tag) = tag.take() else { continue };
            self.tables().programs.set_spare(u32::try_from(place).unwrap_or(u32::MAX), None)?;
            self.refuse(tag);
        }
        Ok(())
    }

    /// The owner of a tag that neither is nor was a run's.
    #[must_use]
    pub fn standing(&self, tag: RunTag) -> Option<Standing> {
        let candidates = self.candidates();
        if candidates.undecided.contains_key(&tag) || candidates.is_reserved(tag) {
            Some(Standing::Undecided)
        } else {
            candidates.refused.contains(&tag).then_some(Standing::Refused)
        }
    }

    /// Makes a candidate a run: its counters have counted from the first act on.
    ///
    /// # Errors
    /// When the cgroup is not fit, or another run is in it. The tag is void then.
    pub fn admit(&self, tag: RunTag, cgroup: Arc<dyn Group>, start: Start) -> Result<Arc<Run>, RunError> {
        let admitted = self.try_admit(tag, cgroup, start);
        match &admitted {
            Ok(_run) => self.candidates().settle(tag),
            Err(_error) => self.refuse(tag),
        }
        admitted
    }

    fn try_admit(&self, tag: RunTag, cgroup: Arc<dyn Group>, start: Start) -> Result<Arc<Run>, RunError> {
        self.must_be_nobodys_but(&*cgroup, tag)?;
        let id = RunId(Uuid::now_v7().to_string());
        let new = New { id, cgroup: Arc::clone(&cgroup), owned: false, start, before: None };
        let run = self.enter_lists(new, tag)?;
        // The processes that were in it before; none in a group that was just made.
        let adopted = self.adopt_subtree(&*cgroup, tag);
        match adopted {
            Err(error) if !error.is_gone() => {
                self.retire(&run);
                Err(error)
            }
            _ => Ok(run),
        }
    }

    /// Ends the watch over a candidate that is no agent's.
    pub fn refuse(&self, tag: RunTag) {
        {
            let mut candidates = self.candidates();
            candidates.settle(tag);
            candidates.refused.put(tag, ());
        }
        self.free(tag);
    }

    /// Candidates that were taken so long ago and are not decided.
    #[must_use]
    pub fn undecided_for(&self, limit: Duration) -> Vec<RunTag> {
        let candidates = self.candidates();
        let old = candidates.undecided.iter().filter(|(_, since)| self.clock.since(**since) > limit);
        old.map(|(tag, _)| *tag).collect()
    }

    /// Whether there is a slot for a cgroup that nobody asked for.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.tables().slots.free() > LEFT_FREE
    }

    /// Where the hierarchy is mounted.
    #[must_use]
    pub fn cgroup_mount(&self) -> &Path {
        self.groups.mount()
    }

    /// The cgroup with this id at a path below the mount. One that is not there any more is opened
    /// all the same: what it did is a run's.
    ///
    /// # Errors
    /// Where it is not one that can be a run's.
    pub fn open_cgroup(&self, below: &Path, id: u64) -> Result<Arc<dyn Group>, CgroupError> {
        match self.groups.open(below) {
            Ok(cgroup) if cgroup.id() == id => Ok(cgroup),
            Err(error) if !error.is_gone() => Err(error),
            Ok(_) | Err(_) => self.groups.gone(below, id),
        }
    }

    /// The cgroups that belong to live runs and candidates.
    #[must_use]
    pub fn watched_cgroups(&self) -> HashSet<u64> {
        self.tables().programs.live_cgroups()
    }

    /// Times that a cgroup could not be watched from its first act on: no slot was in reserve.
    #[must_use]
    pub fn spares_missed(&self) -> u64 {
        self.tables().programs.faults()[sentry_common::fault::SPARES_EMPTY as usize]
    }
}

/// Its counters start at zero.
fn put(programs: &mut dyn Programs, place: usize, tag: RunTag) -> Result<(), LoadError> {
    programs.set_run(tag.slot, tag.generation)?;
    programs.set_spare(u32::try_from(place).unwrap_or(u32::MAX), Some(tag))
}
