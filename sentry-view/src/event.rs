//! One event, and what it belongs to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Call, Exact, KnownAgent, Ocsf, type_of::type_of};

type_of!(
    /// `type` of an [`ExplainedEvent`].
    ExplainedEventType { ExplainedEvent }
);

/// An event with who did it, the call that it belongs to, and what was found by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ExplainedEvent {
    #[serde(rename = "type")]
    pub of: ExplainedEventType,
    pub id: String,
    pub run: String,
    pub time: String,
    pub time_unix_ns: Exact,
    /// What lists of events call it, such as `read`.
    pub verb: String,
    /// The event in OCSF.
    pub event: Ocsf,
    /// From the first known ancestor down to the process that did it, as they were at that time.
    pub ancestry: Vec<Ancestor>,
    /// The coding agent that was recognized by its program.
    pub agent: Option<KnownAgent>,
    /// The tool call that it belongs to; null for what the agent did by itself.
    pub call: Option<Call>,
    /// Findings that have it as evidence, in OCSF.
    pub findings: Vec<Ocsf>,
}

/// A process above another one, or that one itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Ancestor {
    pub pid: u32,
    /// Command line of what it executed last; of its parent, where it executed nothing.
    pub command: Option<String>,
    /// Programs that it executed so far.
    pub executions: u64,
}
