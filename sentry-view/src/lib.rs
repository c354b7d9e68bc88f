//! What Agent Sentry shows of runs, findings, decisions and outcomes: the one form that the command
//! line (`--json`), the ledger, the collector's API and a dashboard read.
//!
//! Types alone, with their JSON and its schema (`docs/schema`); `sentry-proto` makes them of the
//! messages. Text is for people and not escaped. A moment stands three times: RFC 3339 in UTC,
//! exact Unix nanoseconds as decimal text, because many readers of JSON keep 53 bits, and Unix
//! milliseconds. Members are added over time, never removed or renamed: a reader ignores what it
//! does not know.
//!
//! Events, and findings in lists and reports, are OCSF objects instead: `sentry-proto` renders
//! them, findings from [`Finding`].
#![forbid(unsafe_code)]

mod number;

mod type_of;

mod ocsf;

mod rings;

mod completeness;

mod container;

mod file;

mod run;

mod decision;

mod finding;

mod tally;

mod activity;

mod report;

mod difference;

mod cause;

mod event;

mod standing;

mod collected;

mod config;

mod ledger;

mod export;

mod replay;

pub mod path;

pub mod time;

pub use activity::{
    Activity, ActivityType, By, Call, CallKind, CallSource, Change, ChangeKind, Destination, Exit,
    KnownAgent, Left, Listener, Lookup, Place, ProcessRow, Sensitive,
};
pub use cause::{Cause, CauseSort, CauseType, Doer};
pub use collected::{CollectedDecision, CollectedOutcome, CollectedRun};
pub use completeness::{Completeness, Stored};
pub use config::{ConfigReload, ConfigReloadType, KeyChange};
pub use container::{Container, Pod};
pub use decision::{Action, Decision, DecisionType, Outcome, OutcomeResult, OutcomeType};
pub use difference::{Difference, DifferenceType};
pub use event::{Ancestor, ExplainedEvent, ExplainedEventType};
pub use export::{ExportManifest, ExportManifestType, ExportedFile, LedgerPart};
pub use file::{Executed, Unknown};
pub use finding::{Finding, FindingType, Severity, Term};
pub use ledger::{ConfigChanged, Exported, RunEnd, RunStart};
pub use number::Exact;
pub use ocsf::Ocsf;
pub use replay::{Judgement, Replay, ReplayDifference, ReplayHow, ReplayMissing, ReplayType};
pub use report::{Report, ReportType};
pub use rings::{RingBooks, Rings};
pub use run::{Agent, Cgroup, Counters, Flow, Mode, Run, RunState, RunType};
pub use standing::{Baseline, NormalRate, Remembered, Standing, StandingType, TrustPoint};
pub use tally::Tally;
