//! A run as a value: inputs in, outputs out, and everything in between in one place.
//!
//! [`RunMachine`] holds the phase of one run ([`fate`]), its books ([`books`]), what detection
//! remembers, and what earlier sensor lives left ([`account`]). It moves by what happened (events,
//! readings, outcomes) and by orders, and never ahead of an outcome.

pub mod account;

pub mod books;

pub mod fate;

pub mod machine;

pub use crate::{
    aggregate::holds::Holds,
    identity::{AgentIdentity, Mode, ProcessKey, RunId},
};
pub use account::{Account, State};
pub use books::{Counted, RINGS, RingBooks, Usage};
pub use fate::Phase;
pub use machine::{Input, Output, RunMachine, Setup};
