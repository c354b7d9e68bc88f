//! What stands behind a finding: what was done most while it was counted, and who did it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Tally, type_of::type_of};

type_of!(
    /// `type` of a [`Cause`].
    CauseType { Cause }
);

/// What the run did most in the time that a finding counts, as far as its events were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Cause {
    #[serde(rename = "type")]
    pub of: CauseType,
    pub sort: CauseSort,
    /// Acts of this sort in that time.
    pub total: u64,
    /// What they were, the most frequent first: command lines, or what was done to which object.
    pub acts: Vec<Tally>,
    /// Who did them, the most frequent first.
    pub by: Vec<Doer>,
}

/// Which acts were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CauseSort {
    /// Programs that were executed.
    #[default]
    Programs,
    /// Processes that were born.
    Births,
    Files,
    Network,
    Other,
}

/// A process that did some of the acts, or whose children did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Doer {
    pub pid: u32,
    pub acts: u64,
    /// Number of the tool call that it belongs to; null for the agent itself.
    pub call: Option<u32>,
    /// The command of that call.
    pub call_command: Option<String>,
    /// Command lines from the first process of the run down to this one.
    pub ancestry: Vec<String>,
}
