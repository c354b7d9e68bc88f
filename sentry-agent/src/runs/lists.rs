//! The runs that are there and those that were.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use sentry_common::table::{RUN_SLOTS, RunTag};
use sentry_detect::run::{AgentIdentity, RunId};

use super::run::Run;
use crate::enrich::event::Owner;

/// Ended runs whose late records can still be told to be theirs: as many as can be live, for all can end at once.
const ENDED: NonZeroUsize = NonZeroUsize::new(RUN_SLOTS as usize).unwrap();

/// All that is kept of a run that has ended: neither its control group nor what was learnt of it.
pub struct Ended {
    id: RunId,
    event_prefix: String,
    agent: AgentIdentity,
}

/// Whose a record is.
pub enum Whose {
    Live(Arc<Run>),
    Ended(Arc<Ended>),
}

impl Whose {
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        match self {
            Self::Live(run) => Owner { run: &run.id, event_prefix: &run.event_prefix, agent: &run.agent },
            Self::Ended(run) => Owner { run: &run.id, event_prefix: &run.event_prefix, agent: &run.agent },
        }
    }
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

    pub(super) fn enter(&mut self, run: &Arc<Run>) {
        self.live.insert(run.id.clone(), Arc::clone(run));
        self.by_tag.insert(run.tag, Arc::clone(run));
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
