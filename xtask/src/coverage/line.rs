//! What one line of a log says, and the notes below the tables.

/// What the driver found of one scenario on one kernel.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows: ids of `tests/rows.toml`.
    pub(super) rows: Vec<String>,
    /// Kernel and tier.
    pub(super) place: String,
    pub(super) verdict: String,
    pub(super) reasons: Vec<String>,
}

/// Its number, for a reader.
pub(super) fn note<'a>(reason: &'a str, notes: &mut Vec<&'a str>) -> usize {
    let index = notes.iter().position(|note| *note == reason).unwrap_or_else(|| {
        notes.push(reason);
        notes.len() - 1
    });
    index + 1
}
