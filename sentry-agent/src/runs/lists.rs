//! The runs that are there and those that were.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use sentry_common::table::{RUN_SLOTS, RunTag};
use sentry_detect::run::{AgentIdentity, RunId};

use super::{
    error::RunError,
    run::Run,
    share::{AWAITED_OF_ONE, RUNS_OF_ONE, RUNS_OF_USERS},
};
use crate::enrich::event::Owner;

/// Ended runs whose late records can still be attributed to them: as many as can be live, for all
/// can end at once.
const ENDED: NonZeroUsize = NonZeroUsize::new(RUN_SLOTS as usize).unwrap();

/// All that is kept of a run that has ended: neither its control group nor what was learnt of it.
pub struct Ended {
    id: RunId,
    event_prefix: String,
    agent: AgentIdentity,
}

/// The owner of a record.
pub enum Whose {
    Live(Arc<Run>),
    Ended(Arc<Ended>),
}

impl Whose {
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        match self {
            Self::Live(run) => owner(&run.id, &run.event_prefix, &run.agent),
            Self::Ended(run) => owner(&run.id, &run.event_prefix, &run.agent),
        }
    }
}

fn owner<'a>(run: &RunId, event_prefix: &'a str, agent: &AgentIdentity) -> Owner<'a> {
    Owner { run: Arc::new(run.clone()), event_prefix, agent: Arc::new(agent.clone()) }
}

pub(super) struct Lists {
    live: HashMap<RunId, Arc<Run>>,
    by_tag: HashMap<RunTag, Arc<Run>>,
    ended: LruCache<RunTag, Arc<Ended>>,
}

impl Lists {
    pub(super) fn new() -> Self {
        Self { live: HashMap::new(), by_tag: HashMap::new(), ended: LruCache::new(ENDED) }
    }

    /// A run that waits for its command has to be within its user's share.
    pub(super) fn enter(&mut self, run: &Arc<Run>) -> Result<(), RunError> {
        if run.is_awaited() {
            self.admits(run.uid)?;
        }
        self.live.insert(run.id.clone(), Arc::clone(run));
        self.by_tag.insert(run.tag, Arc::clone(run));
        Ok(())
    }

    /// Whether the user may have one run more.
    pub(super) fn admits(&self, uid: u32) -> Result<(), RunError> {
        if uid == 0 {
            return Ok(());
        }
        let (mut mine, mut awaited, mut of_users) = (0, 0, 0);
        for run in self.live.values().filter(|run| run.uid != 0) {
            of_users += 1;
            if run.uid == uid {
                mine += 1;
                awaited += usize::from(run.is_awaited());
            }
        }
        if mine >= RUNS_OF_ONE {
            return Err(RunError::Share { uid });
        }
        if of_users >= RUNS_OF_USERS {
            return Err(RunError::Reserved);
        }
        if awaited >= AWAITED_OF_ONE {
            return Err(RunError::Awaited { uid });
        }
        Ok(())
    }

    pub(super) fn retire(&mut self, run: &Run) {
        self.live.remove(&run.id);
        if self.by_tag.remove(&run.tag).is_some() {
            let ended = Ended {
                id: run.id.clone(),
                event_prefix: run.event_prefix.clone(),
                agent: run.agent.clone(),
            };
            self.ended.put(run.tag, Arc::new(ended));
        }
    }

    pub(super) fn live(&self) -> Vec<Arc<Run>> {
        self.live.values().cloned().collect()
    }

    pub(super) fn by_tag(&self, tag: RunTag) -> Option<Arc<Run>> {
        self.by_tag.get(&tag).cloned()
    }

    pub(super) fn whose(&mut self, tag: RunTag) -> Option<Whose> {
        let live = self.by_tag(tag).map(Whose::Live);
        live.or_else(|| self.ended.get(&tag).cloned().map(Whose::Ended))
    }
}
