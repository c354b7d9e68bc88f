//! A run, as it stands or stood.

use schemars::JsonSchema;
use sentry_common::counter::Counts;
use serde::{Deserialize, Serialize};

use crate::{Completeness, Container, Exact, Executed, RingBooks, Rings, type_of::type_of};

type_of!(
    /// `type` of a [`Run`].
    RunType { Run }
);

/// A run with its totals. They are final when it has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    #[serde(rename = "type")]
    pub of: RunType,
    pub id: String,
    pub agent: Option<Agent>,
    pub state: RunState,
    pub mode: Mode,
    pub cgroup: Cgroup,
    pub container: Option<Container>,
    pub started: String,
    pub started_unix_ns: Exact,
    pub started_ms: u64,
    pub ended: Option<String>,
    pub ended_unix_ns: Option<Exact>,
    pub ended_ms: Option<u64>,
    /// It ended while no sensor watched it: `ended` is when that was noticed.
    pub end_unseen: bool,
    pub uid: u32,
    pub command: Vec<String>,
    /// Arguments at the end of `command` are cut or missing.
    pub command_truncated: bool,
    /// The selector of the configuration that it is watched by; empty where somebody asked for it.
    pub selected_by: String,
    pub findings: u64,
    pub rings: Rings<Option<RingBooks>>,
    /// Times that the sensor was away while the run lived.
    pub interruptions: u32,
    /// Acts that no record could be made of.
    pub untold: u64,
    /// Calls of BPF programs that the kernel left out while the run lived; whose is not known.
    pub skipped: u64,
    pub counters: Counters,
    /// Bytes to and from each other side, the largest first; of an ended run and in a report.
    pub flows: Vec<Flow>,
    /// Where the sensor reads executed files: the most often executed first.
    pub executed: Vec<Executed>,
    /// Executions of files that are not in the list.
    pub executed_unlisted: u64,
    pub completeness: Completeness,
}

/// The AI program under watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Agent {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Of a newer version.
    #[default]
    Unknown,
    Running,
    Frozen,
    Ended,
}

impl RunState {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Running => "running",
            Self::Frozen => "frozen",
            Self::Ended => "ended",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Of a newer version.
    #[default]
    Unknown,
    /// Decide and record, do not act.
    Observe,
    /// Decide, record and act.
    Enforce,
}

impl Mode {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cgroup {
    pub path: String,
    pub id: Exact,
}

macro_rules! totals {
    (
        reported { $($(#[$reported_doc:meta])+ $reported:ident,)+ }
        kept { $($(#[$kept_doc:meta])+ $kept:ident,)+ }
    ) => {
        /// Totals of what the run did, by the kernel's counters.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(default)]
        pub struct Counters {
            $(pub $reported: u64,)+
            pub findings: u64,
        }

        impl Counters {
            /// The reported ones of `counts`.
            #[must_use]
            pub fn new(counts: &Counts, findings: u64) -> Self {
                Self { $($reported: counts.$reported,)+ findings }
            }

            /// Processes that live.
            #[must_use]
            pub fn alive(&self) -> u64 {
                let begun = self.processes_born.saturating_add(self.processes_entered);
                begun.saturating_sub(self.processes_ended)
            }
        }
    };
}
sentry_common::counters!(totals);

/// Packets, and bytes of their payload, of TCP and UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Flow {
    /// `192.0.2.1:443 tcp`; null for the sum of the rest.
    pub remote: Option<String>,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub packets_in: u64,
    pub bytes_in: u64,
}
