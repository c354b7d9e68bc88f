//! The store: it is asked questions and given batches, and nobody above it sees what keeps the
//! rows.
//!
//! A question is a `Query` of a relation, answered in pages (`Store::page`; `Store::events` for
//! events, which are stored in blocks), or one of the `Store` methods that name what they find.
//! What comes in goes through one writer, in groups, and is acknowledged after the commit
//! (`Store::apply`). Readers see only what is committed.

mod error;

mod feed;

mod command;

mod page;

mod sqlite;

pub(crate) use self::{
    command::{CommandReply, CommandRequest, CommandRow},
    error::{ReadError, StoreGone, Trouble},
    feed::{NotOpened, Opened, Progress},
    page::{Cell, Condition, FromCell, Listed, Next, Paging, Query, Source, listed},
    sqlite::writer::{Stop, Writer},
};
pub use self::{
    error::{Cause, StoreError},
    sqlite::{
        handle::{Store, forget_way},
        schema::FORMAT,
    },
};
