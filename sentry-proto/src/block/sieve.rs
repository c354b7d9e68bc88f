//! What is asked of an open block before its events are made: of each kind and each process once,
//! however many events have it.

use std::{fmt, sync::Arc};

use memchr::memmem::Finder;

use super::fact::EXEC;
use crate::v1::{self, event::Kind};

/// What events that are looked for are. Where an answer is no, no event of that kind or process is
/// one; where it is yes, the event itself decides.
pub trait Sift: fmt::Debug + Send + Sync {
    /// `None`: a kind that this version does not know.
    fn kind(&self, kind: Option<&Kind>) -> bool;

    /// `None`: the event has no process.
    fn process(&self, process: Option<&v1::Process>) -> bool;
}

/// A question for the content of blocks.
#[derive(Clone, Debug)]
pub struct Sieve {
    sift: Arc<dyn Sift>,
    /// One of them stands in what an event is, or it is an exec and stands in its process. None at
    /// all: no condition.
    needles: Vec<Finder<'static>>,
}

impl Sieve {
    #[must_use]
    pub fn new(sift: Arc<dyn Sift>) -> Self {
        Self { sift, needles: Vec::new() }
    }

    /// One of these texts stands in the event, or, of an exec, in its process: asked before anything
    /// is decoded.
    #[must_use]
    pub fn with_one_of<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let needles = texts.into_iter().map(|text| Finder::new(text).into_owned()).collect();
        Self { needles, ..self }
    }

    /// Whether a needle stands in bytes that may hold many kinds and processes.
    pub(super) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.needles.is_empty() || self.needles.iter().any(|needle| needle.find(bytes).is_some())
    }

    /// What does not decode is let through: reading the event says so.
    pub(super) fn admits_kind(&self, text: &[u8]) -> bool {
        use prost::Message as _;
        // An exec's path is its process's.
        if !is_exec(text) && !self.may_be_in(text) {
            return false;
        }
        v1::Event::decode(text).map_or(true, |event| self.sift.kind(event.kind.as_ref()))
    }

    pub(super) fn admits_process(&self, text: &[u8]) -> bool {
        use prost::Message as _;
        v1::Process::decode(text).map_or(true, |process| self.sift.process(Some(&process)))
    }

    pub(super) fn admits_no_process(&self) -> bool {
        self.sift.process(None)
    }
}

/// Whether an encoded kind begins with the field of an exec.
fn is_exec(text: &[u8]) -> bool {
    let mut rest = text;
    prost::encoding::decode_varint(&mut rest).is_ok_and(|key| key >> 3 == EXEC)
}
