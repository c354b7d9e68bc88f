//! The store: it answers queries and takes batches, and hides the database behind it.
//!
//! A `Query` of a relation is answered in pages (`Store::page`; `Store::events` for events, which
//! are stored in blocks). Other questions have `Store` methods of their own. Batches go through one
//! writer, in groups, and are acknowledged after the commit (`Store::apply`). Readers see only
//! committed rows.

mod error;

mod feed;

mod command;

mod key;

mod triage;

mod page;

mod marks;

mod sqlite;

pub(crate) use self::{
    command::{CommandReply, CommandRequest, CommandRow},
    error::{ReadError, StoreGone, Trouble},
    feed::{NotOpened, Opened, Progress},
    key::{AuditEntry, KeyChange, KeyReply, KeyRow, MAX_KEYS, NewKey},
    marks::{Followed, Marks},
    page::{Cell, Condition, FromCell, Listed, Next, Paging, Query, Source, listed},
    sqlite::{
        clock::now_ms,
        writer::{Stop, Writer},
    },
    triage::{
        Act, FindingId, FindingState, MAX_ACTS, MAX_SUPPRESSIONS, NewSuppression, SuppressionChange,
        SuppressionReply, Triage, TriageReply,
    },
};
pub use self::{
    error::{Cause, StoreError},
    sqlite::{
        handle::{Store, forget_way},
        schema::FORMAT,
    },
};
