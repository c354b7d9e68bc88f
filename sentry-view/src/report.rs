//! The report of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Activity, Decision, Executed, Finding, Flow, Ocsf, Outcome, Run, Tally, type_of::type_of};

type_of!(
    /// `type` of a [`Report`].
    ReportType { Report }
);

/// What a run did, counted from its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Report {
    #[serde(rename = "type")]
    pub of: ReportType,
    pub run: Option<Run>,
    pub programs: Vec<Tally>,
    /// As in `run`.
    pub executed: Vec<Executed>,
    /// As in `run`.
    pub executed_unlisted: u64,
    pub destinations: Vec<Tally>,
    pub files_changed: Vec<Tally>,
    /// As in `run`.
    pub flows: Vec<Flow>,
    /// Detection Findings of OCSF, of [`Self::found`].
    pub findings: Vec<Ocsf>,
    pub outcomes: Vec<Outcome>,
    /// What led to the outcomes, where the one who made the report asked for it.
    #[serde(default)]
    pub decisions: Vec<Decision>,
    /// What the run did, as a person asks for it; null where nobody folded its events.
    #[serde(default)]
    pub activity: Option<Activity>,
    /// The record of the run is complete, and the sensor still holds all of it.
    pub complete: bool,
    /// What the sensor cannot see on this host, one line each.
    pub limits: Vec<String>,
    /// Not in JSON, where `findings` stands for it.
    #[serde(skip)]
    pub found: Vec<Finding>,
}
