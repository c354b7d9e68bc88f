//! Which files an archive has.

/// Version of the format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;
/// Bytes at which a list goes on in another file.
pub const PART_BYTES: usize = 8 << 20;
/// Most bytes of a line of a list.
pub const LINE_BYTES: usize = 16 << 20;
/// Most bytes of a list's part or of a report.
pub const FILE_BYTES: u64 = 64 << 20;
/// Most files: 80 GB of lists.
pub const FILES: usize = 10_000;
/// Most findings of a run, and as many decisions and outcomes; most bytes of the id of one.
pub const IDS: usize = 1_000_000;
pub const ID_BYTES: usize = 256;
/// Most bytes that one byte of the archive may stand for, beyond the first 64 MiB.
pub const EXPANSION: u64 = 1_000;

/// A file of an archive, or the files of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Events,
    Findings,
    Decisions,
    Outcomes,
    Ledger,
    Head,
    PublicKey,
    ReportText,
    ReportJson,
    ReportPage,
    Status,
    Doctor,
    Manifest,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Events,
        Self::Findings,
        Self::Decisions,
        Self::Outcomes,
        Self::Ledger,
        Self::Head,
        Self::PublicKey,
        Self::ReportText,
        Self::ReportJson,
        Self::ReportPage,
        Self::Status,
        Self::Doctor,
        Self::Manifest,
    ];

    /// Name of the file; of a list, of its first part.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events.jsonl",
            Self::Findings => "findings.jsonl",
            Self::Decisions => "decisions.jsonl",
            Self::Outcomes => "outcomes.jsonl",
            Self::Ledger => "ledger.jsonl",
            Self::Head => "HEAD",
            Self::PublicKey => "ledger.pub",
            Self::ReportText => "report.txt",
            Self::ReportJson => "report.json",
            Self::ReportPage => "report.html",
            Self::Status => "status.json",
            Self::Doctor => "doctor.json",
            Self::Manifest => "manifest.json",
        }
    }

    /// Most bytes of it, or of one part.
    #[must_use]
    pub const fn most_bytes(self) -> u64 {
        match self {
            Self::Events
            | Self::Findings
            | Self::Decisions
            | Self::Outcomes
            | Self::Ledger
            | Self::ReportText
            | Self::ReportJson
            | Self::ReportPage => FILE_BYTES,
            Self::Status | Self::Doctor | Self::Manifest => 4 << 20,
            Self::Head | Self::PublicKey => 4 << 10,
        }
    }

    /// Whether it is lines, in as many files as they need.
    #[must_use]
    pub const fn is_list(self) -> bool {
        match self {
            Self::Events | Self::Findings | Self::Decisions | Self::Outcomes | Self::Ledger => true,
            Self::Head
            | Self::PublicKey
            | Self::ReportText
            | Self::ReportJson
            | Self::ReportPage
            | Self::Status
            | Self::Doctor
            | Self::Manifest => false,
        }
    }
}

const LIST_SUFFIX: &str = ".jsonl";

/// Name of part `number` of a list, from 1; of any other file, of the file.
pub(crate) fn name(kind: Kind, number: usize) -> String {
    match kind.name().strip_suffix(LIST_SUFFIX) {
        Some(stem) if number > 1 => format!("{stem}.{number}{LIST_SUFFIX}"),
        _ => kind.name().to_owned(),
    }
}

/// What a name stands for, and which part of it. A part has one name.
pub(crate) fn named(file: &str) -> Option<(Kind, usize)> {
    let whole = |kind: &Kind| kind.name() == file;
    if let Some(kind) = Kind::ALL.into_iter().find(whole) {
        return Some((kind, 1));
    }
    let (stem, number) = file.strip_suffix(LIST_SUFFIX)?.split_once('.')?;
    let number = number.parse().ok()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name().strip_suffix(LIST_SUFFIX) == Some(stem))?;
    (name(kind, number) == file).then_some((kind, number))
}

/// The folder that all files of a run are in; `None` where the id cannot be part of a name.
pub(crate) fn folder(run: &str) -> Option<String> {
    let fits =
        (1..=64).contains(&run.len()) && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then(|| format!("{FOLDER}{run}"))
}

/// Folder's run and file name of a path; `None` where it is no path of an archive.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let (found, file) = path.split_once('/')?;
    let run = found.strip_prefix(FOLDER)?;
    (folder(run).as_deref() == Some(found)).then_some((run, file))
}

const FOLDER: &str = "agentsentry-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for kind in Kind::ALL {
            assert_eq!(named(&name(kind, 1)), Some((kind, 1)));
            let second = kind.is_list().then_some((kind, 2));
            assert_eq!(named(&name(kind, 2)).filter(|(_, number)| *number == 2), second);
        }
        for wrong in
            ["", "x", "events", "events.1.jsonl", "events.02.jsonl", "events.+2.jsonl", "HEAD.2", "head"]
        {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_paths_below_the_folder_of_a_run_are_taken() {
        assert_eq!(split("agentsentry-01a2-b/HEAD"), Some(("01a2-b", "HEAD")));
        for wrong in ["HEAD", "/agentsentry-r/HEAD", "agentsentry-/HEAD", "agentsentry-../HEAD", "x/HEAD"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
        // A name below a name is none of a file.
        assert_eq!(split("agentsentry-r/../HEAD").and_then(|(_, file)| named(file)), None);
    }
}
