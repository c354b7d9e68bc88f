//! What a block can be made of.

use std::{borrow::Cow, sync::Arc};

use sentry_detect::event::{Event, EventKind};
use twox_hash::XxHash3_64;

use crate::v1::{
    self,
    event::{Kind, Ring},
};

/// An event that can be packed, in the sensor's form or the wire's. What goes into a block once is
/// made of it once.
pub trait Packable {
    fn id(&self) -> &str;
    fn run(&self) -> &str;
    /// Id and name.
    fn agent(&self) -> Option<(&str, &str)>;
    /// As on the wire.
    fn ring(&self) -> i32;
    fn sequence(&self) -> u64;
    fn time_unix_ns(&self) -> u64;

    /// The acting process.
    fn process(&self) -> Option<Cow<'_, v1::Process>>;

    /// Where its process is held, if others of the same address have the same one.
    fn process_address(&self) -> Option<usize>;

    /// Whether another event has the same process, as far as that is seen without much work.
    fn shares_process_of(&self, other: &Self) -> bool;

    fn kind(&self) -> Option<Cow<'_, Kind>>;

    /// A number that is the same for events of equal kinds, where that is cheaper than to make the
    /// kind. Others may have it, too.
    fn kind_hash(&self) -> Option<u64>;

    fn has_kind_of(&self, other: &Self) -> bool;
}

impl Packable for v1::Event {
    fn id(&self) -> &str {
        &self.id
    }

    fn run(&self) -> &str {
        &self.run
    }

    fn agent(&self) -> Option<(&str, &str)> {
        self.agent.as_ref().map(|agent| (agent.id.as_str(), agent.name.as_str()))
    }

    fn ring(&self) -> i32 {
        self.ring
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn time_unix_ns(&self) -> u64 {
        self.time_unix_ns
    }

    fn process(&self) -> Option<Cow<'_, v1::Process>> {
        self.process.as_ref().map(Cow::Borrowed)
    }

    /// Each has its own.
    fn process_address(&self) -> Option<usize> {
        None
    }

    fn shares_process_of(&self, other: &Self) -> bool {
        self.process == other.process
    }

    fn kind(&self) -> Option<Cow<'_, Kind>> {
        self.kind.as_ref().map(Cow::Borrowed)
    }

    /// It is made already.
    fn kind_hash(&self) -> Option<u64> {
        None
    }

    fn has_kind_of(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Packable for Event {
    fn id(&self) -> &str {
        &self.id
    }

    fn run(&self) -> &str {
        &self.run.0
    }

    fn agent(&self) -> Option<(&str, &str)> {
        Some((&self.agent.id, &self.agent.name))
    }

    fn ring(&self) -> i32 {
        Ring::from(self.ring).into()
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn time_unix_ns(&self) -> u64 {
        self.time_unix_ns
    }

    fn process(&self) -> Option<Cow<'_, v1::Process>> {
        Some(Cow::Owned((&*self.process).into()))
    }

    fn process_address(&self) -> Option<usize> {
        Some(Arc::as_ptr(&self.process).addr())
    }

    fn shares_process_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.process, &other.process)
    }

    fn kind(&self) -> Option<Cow<'_, Kind>> {
        Some(Cow::Owned((&self.kind).into()))
    }

    /// Of opens, which are most events: programs open the same files again and again.
    fn kind_hash(&self) -> Option<u64> {
        let EventKind::Open { file, .. } = &self.kind else { return None };
        Some(XxHash3_64::oneshot(file.path.text.as_bytes()))
    }

    fn has_kind_of(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}
