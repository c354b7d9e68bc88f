//! The requirements for items, and the reasons to refuse one.
//!
//! Ids may have 1024 bytes.

use sentry_proto::{
    block::BlockError,
    v1::{self, event::Kind},
};

pub(super) const MAX_ID_BYTES: usize = 1024;

/// Why an item is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadItem {
    #[error("{0}")]
    Lacks(&'static str),
    #[error(transparent)]
    Block(#[from] BlockError),
}

pub(super) fn id(id: &str, why: &'static str) -> Result<(), BadItem> {
    if id.is_empty() || id.len() > MAX_ID_BYTES { Err(why.into()) } else { Ok(()) }
}

pub(super) fn run_id(run: &str) -> Result<(), BadItem> {
    id(run, "it names no run, or one over 1024 bytes")
}

pub(super) fn agent(agent: Option<&v1::Agent>) -> Result<&v1::Agent, BadItem> {
    const WHY: &str = "it names no agent, or one over 1024 bytes";
    let agent = agent.ok_or(WHY)?;
    id(&agent.id, WHY)?;
    if agent.name.len() > MAX_ID_BYTES { Err(WHY.into()) } else { Ok(agent) }
}

pub(super) fn event_id(event: &str) -> Result<(), BadItem> {
    id(event, "the event has no id, or one over 1024 bytes")
}

pub(super) fn kind(kind: Option<&Kind>) -> Result<&Kind, BadItem> {
    Ok(kind.ok_or("the event is of no kind this collector knows")?)
}

pub(super) fn process(process: Option<&v1::Process>) -> Result<(), BadItem> {
    let named = process.is_some_and(|process| process.key.is_some());
    if named { Ok(()) } else { Err("the event names no process".into()) }
}

impl From<&'static str> for BadItem {
    fn from(why: &'static str) -> Self {
        Self::Lacks(why)
    }
}
