//! What people make of findings, as the store keeps it: states, comments, suppressions.

/// Most acts of one finding that are kept.
pub(crate) const MAX_ACTS: i64 = 200;
/// Most suppressions in force.
pub(crate) const MAX_SUPPRESSIONS: i64 = 1000;

/// The state of a finding. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindingState {
    /// Nobody has done anything yet.
    Open = 1,
    /// Somebody is at it.
    Acknowledged = 2,
    Resolved = 3,
    /// A suppression was in force when it came, or was made for it.
    Suppressed = 4,
}

/// A finding, as its sensor names it. A sensor that has lost what it sent may send it again.
#[derive(Clone, Debug)]
pub(crate) struct FindingId {
    pub(crate) sensor: String,
    pub(crate) run: String,
    pub(crate) finding: String,
}

/// What is done with a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Acknowledge,
    Resolve,
    Reopen,
    /// `None`: to nobody.
    Assign(Option<String>),
    Comment,
}

#[derive(Clone, Debug)]
pub(crate) struct Triage {
    pub(crate) of: FindingId,
    pub(crate) act: Act,
    /// May be empty.
    pub(crate) comment: String,
    pub(crate) who: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TriageReply {
    Done,
    /// It was so already, and there is no comment.
    Already,
    Unknown,
    /// Who acknowledges a resolved finding has not seen that it is one.
    Resolved,
    /// [`MAX_ACTS`] are noted.
    TooMany,
}

#[derive(Clone, Debug)]
pub(crate) struct NewSuppression {
    pub(crate) rule: String,
    pub(crate) agent: String,
    pub(crate) until_ms: i64,
    pub(crate) why: String,
    pub(crate) made_by: String,
}

#[derive(Clone, Debug)]
pub(crate) enum SuppressionChange {
    Make(NewSuppression),
    End { id: i64, who: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuppressionReply {
    /// Its id.
    Made(i64),
    /// This one of the same rule and agent is in force.
    InForce(i64),
    /// [`MAX_SUPPRESSIONS`] are in force.
    TooMany,
    Ended,
    /// None of this id is in force.
    Unknown,
}

// === impl FindingState ===

impl FindingState {
    pub(crate) const ALL: [Self; 4] = [Self::Open, Self::Acknowledged, Self::Resolved, Self::Suppressed];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Suppressed => "suppressed",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub(crate) fn stored(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }
}

// === impl Act ===

impl Act {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Reopen => "reopen",
            Self::Assign(_) => "assign",
            Self::Comment => "comment",
        }
    }

    /// The state that it leads to; `None`: it changes none.
    pub(crate) const fn state(&self) -> Option<FindingState> {
        match self {
            Self::Acknowledge => Some(FindingState::Acknowledged),
            Self::Resolve => Some(FindingState::Resolved),
            Self::Reopen => Some(FindingState::Open),
            Self::Assign(_) | Self::Comment => None,
        }
    }
}

// === impl TriageReply ===

impl TriageReply {
    /// As the audit says it.
    pub(crate) fn result(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "it was so already",
            Self::Unknown => "refused: no such finding",
            Self::Resolved => "refused: the finding is resolved",
            Self::TooMany => "refused: too many acts on the finding",
        }
    }
}

// === impl SuppressionReply ===

impl SuppressionReply {
    /// As the audit says it.
    pub(crate) fn result(self) -> String {
        match self {
            Self::Made(id) => format!("made suppression {id}"),
            Self::InForce(id) => format!("refused: suppression {id} is in force"),
            Self::TooMany => "refused: too many suppressions".to_owned(),
            Self::Ended => "ended".to_owned(),
            Self::Unknown => "refused: no such suppression is in force".to_owned(),
        }
    }
}
