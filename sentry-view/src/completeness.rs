//! Whether anything of a run may be missing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RingBooks, Rings};

/// Whether "no finding" means that there was nothing to find.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Completeness {
    /// Nothing is missing.
    pub complete: bool,
    /// The run has ended: nothing of this changes any more.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// What is missing, one sentence each.
    pub missing: Vec<String>,
    pub rings: Rings<RingBooks>,
    /// Of a collector.
    #[serde(flatten)]
    pub stored: Option<Stored>,
}

/// What a collector has of a run, and what it knows to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stored {
    pub events_stored: u64,
    pub findings_stored: u64,
    /// Items of the run that were lost between sensor and collector.
    pub lost_in_gaps: u64,
    /// Lost items of this sensor, while the run lived, whose run is not known.
    pub lost_in_unnamed_gaps: u64,
    /// Items that were removed to keep within the collector's limits.
    pub pruned: u64,
}
