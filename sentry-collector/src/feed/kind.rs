//! Kinds of items.

/// A kind of item; the number of a variant is its place in [`ItemKind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Event,
    Finding,
    Decision,
    Outcome,
    Run,
    Gap,
}

impl ItemKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Event, Self::Finding, Self::Decision, Self::Outcome, Self::Run, Self::Gap];

    /// Label of the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Finding => "finding",
            Self::Decision => "decision",
            Self::Outcome => "outcome",
            Self::Run => "run",
            Self::Gap => "gap",
        }
    }
}
