//! How a report is to look.

/// How much of a report is shown, and how wide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Columns.
    pub(crate) width: usize,
    /// Each call with its programs, files and destinations.
    pub(crate) calls: bool,
    /// Nothing is folded.
    pub(crate) all: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self { width: 80, calls: false, all: false }
    }
}
