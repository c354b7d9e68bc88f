//! What is handed to the writer: an event as the sensor has it, or an item as it is stored.

use std::{borrow::Cow, sync::Arc};

use sentry_detect::event::Event;
use sentry_proto::{
    block::Packable,
    v1::{self, item::Item as Kind},
};

/// Something that waits to be written. An event is put into the wire's form when its block is made:
/// most of what it shows stands in the block already by then.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Event(Arc<Event>),
    Item(Box<v1::Item>),
}

/// What can be written.
pub(super) trait Written {
    type Event: Packable;

    /// The event that it is.
    fn event(&self) -> Option<&Self::Event>;

    /// As it is stored by itself.
    fn item(&self) -> Cow<'_, v1::Item>;

    /// The run that it is about.
    fn run(&self) -> Option<&str>;
}

impl Written for Entry {
    type Event = Event;

    fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Item(_) => None,
        }
    }

    fn item(&self) -> Cow<'_, v1::Item> {
        match self {
            Self::Event(event) => Cow::Owned(v1::Item { item: Some(Kind::Event((&**event).into())) }),
            Self::Item(item) => Cow::Borrowed(item),
        }
    }

    fn run(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(&event.run.0),
            Self::Item(item) => run_of(item),
        }
    }
}

impl Written for v1::Item {
    type Event = v1::Event;

    fn event(&self) -> Option<&v1::Event> {
        match &self.item {
            Some(Kind::Event(event)) => Some(event),
            _ => None,
        }
    }

    fn item(&self) -> Cow<'_, v1::Item> {
        Cow::Borrowed(self)
    }

    fn run(&self) -> Option<&str> {
        run_of(self)
    }
}

/// The run that an item is about.
fn run_of(item: &v1::Item) -> Option<&str> {
    match item.item.as_ref()? {
        Kind::Event(event) => Some(&event.run),
        Kind::Finding(finding) => Some(&finding.run),
        Kind::Decision(decision) => Some(&decision.run),
        Kind::Outcome(outcome) => Some(&outcome.run),
        Kind::Run(run) => Some(&run.id),
        Kind::Gap(_) | Kind::Block(_) => None,
    }
}
