//! What a run did, folded from its events: tool calls, changed files, sensitive files, destinations
//! by name, listeners, and what was left behind.
//!
//! ```text
//! events ──► Story ──► Processes ──► which call an event belongs to
//!              │           ▲ Shapes (data/agents.toml)
//!              ├──► Files ──► Change, Sensitive (data/places.toml)
//!              └──► Network ──► Destination, Lookup, Listener
//! finish ──► sentry_view::Activity ──► difference ──► sentry_view::Difference
//! ```
//!
//! Pure: it reads no file and no clock, and takes any event, in any order that the record has. What
//! it holds is bounded; what finds no room is counted in `Activity::unlisted`.
#![forbid(unsafe_code)]

mod error;

mod text;

mod places;

mod shapes;

mod process;

mod calls;

mod files;

mod network;

mod tree;

mod about;

mod destination;

mod search;

mod question;

mod lineage;

mod story;

mod difference;

mod descent;

mod cause;

mod inquiry;

pub use about::{types, verb};
pub use cause::Causes;
pub use difference::difference;
pub use error::DataError;
pub use inquiry::{Answer, Circumstances, EventName, Inquiry};
pub use lineage::Lineage;
pub use places::Places;
pub use question::question;
pub use search::{Search, SearchError};
pub use shapes::Shapes;
pub use story::{Knowledge, Story};
