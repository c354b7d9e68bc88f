//! Numbers of enumerations.

use sentry_view::{Action, Mode, OutcomeResult, RunState, Severity};

use crate::v1;

impl From<v1::RunState> for RunState {
    fn from(state: v1::RunState) -> Self {
        match state {
            v1::RunState::Unspecified => Self::Unknown,
            v1::RunState::Running => Self::Running,
            v1::RunState::Frozen => Self::Frozen,
            v1::RunState::Ended => Self::Ended,
        }
    }
}

impl From<v1::Mode> for Mode {
    fn from(mode: v1::Mode) -> Self {
        match mode {
            v1::Mode::Unspecified => Self::Unknown,
            v1::Mode::Observe => Self::Observe,
            v1::Mode::Enforce => Self::Enforce,
        }
    }
}

impl From<v1::Action> for Action {
    fn from(action: v1::Action) -> Self {
        match action {
            v1::Action::Unspecified => Self::Unknown,
            v1::Action::Observe => Self::Observe,
            v1::Action::Freeze => Self::Freeze,
            v1::Action::Thaw => Self::Thaw,
            v1::Action::Kill => Self::Kill,
            v1::Action::Restart => Self::Restart,
        }
    }
}

impl From<v1::outcome::Result> for OutcomeResult {
    fn from(result: v1::outcome::Result) -> Self {
        match result {
            v1::outcome::Result::Unspecified => Self::Unknown,
            v1::outcome::Result::Applied => Self::Applied,
            v1::outcome::Result::WouldApply => Self::WouldApply,
            v1::outcome::Result::Refused => Self::Refused,
            v1::outcome::Result::Failed => Self::Failed,
        }
    }
}

impl From<v1::Severity> for Severity {
    fn from(severity: v1::Severity) -> Self {
        match severity {
            v1::Severity::Unspecified => Self::Unknown,
            v1::Severity::Informational => Self::Informational,
            v1::Severity::Low => Self::Low,
            v1::Severity::Medium => Self::Medium,
            v1::Severity::High => Self::High,
            v1::Severity::Critical => Self::Critical,
        }
    }
}
