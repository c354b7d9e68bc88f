//! What the checks find.

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Name of the rule, as exceptions give it.
    pub(super) rule: &'static str,
    /// File, relative to the checkout, or package.
    pub(super) place: String,
    /// Line, where there is one.
    pub(super) line: Option<usize>,
    pub(super) what: String,
}
