//! Proves an archive: that it is as it was exported, of one run, and part of the ledger.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt,
    io::BufRead,
};

use sentry_view::{ExportManifest, ExportedFile, LedgerPart};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    ArchiveError, FORMAT, ID_BYTES, IDS, Kind, layout,
    line::{Decision, Ocsf, Outcome, digest, lines},
    read::{File, Reader},
};

/// Walks the part of a ledger that is in an archive. It knows the form of a ledger, this crate does
/// not.
pub trait LedgerProof {
    type Flaw: Error + Send + Sync + 'static;

    /// Takes the next entry, without its newline, of a ledger that is asked about this run.
    ///
    /// # Errors
    /// When it does not follow the one before.
    fn entry(&mut self, run: &str, line: &[u8]) -> Result<(), Self::Flaw>;

    /// Takes the ledger's files `HEAD` and `ledger.pub`, behind the last entry.
    ///
    /// # Errors
    /// When HEAD does not sign for that entry.
    fn finish(self, head: &[u8], public_key: &[u8]) -> Result<ProvenLedger, Self::Flaw>;
}

/// A part of a ledger that holds what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenLedger {
    pub part: LedgerPart,
    /// Ids of the run's findings and decisions; those of outcomes are their decisions'.
    pub findings: BTreeSet<String>,
    pub decisions: BTreeSet<String>,
    pub outcomes: BTreeSet<String>,
    /// It has the run's start, and no entry of it was given up for a disk that was full.
    pub whole: bool,
}

/// An archive that is as it was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub manifest: ExportManifest,
    /// SHA-256 of the manifest's file, hex: what the ledger has of the export.
    pub manifest_sha256: String,
    pub counts: Counts,
    /// Of the archive.
    pub bytes: u64,
}

/// Lines of the lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    pub findings: u64,
    pub decisions: u64,
    pub outcomes: u64,
    /// Entries of the ledger.
    pub entries: u64,
}

/// Reads all of an archive once, in bounded memory, and proves it.
///
/// # Errors
/// The first thing that is not as an export writes it.
pub fn check<L: LedgerProof>(input: impl BufRead, ledger: L) -> Result<Checked, ArchiveError> {
    let mut reader = Reader::new(input)?;
    let mut walk = Walk::new(ledger);
    while let Some(file) = reader.next()? {
        walk.file(file)?;
    }
    let bytes = reader.finish()?;
    walk.finish(bytes)
}

/// What was seen so far.
struct Walk<L> {
    ledger: L,
    /// Of the first file; all others have to agree.
    run: Option<String>,
    modified_s: u64,
    /// Parts of each kind.
    parts: BTreeMap<Kind, usize>,
    files: Vec<ExportedFile>,
    counts: Counts,
    findings: BTreeSet<String>,
    decisions: BTreeSet<String>,
    outcomes: BTreeSet<String>,
    head: Vec<u8>,
    public_key: Vec<u8>,
    sensor: String,
    manifest: Option<(ExportManifest, String)>,
}

impl<L: LedgerProof> Walk<L> {
    fn new(ledger: L) -> Self {
        Self {
            ledger,
            run: None,
            modified_s: 0,
            parts: BTreeMap::new(),
            files: Vec::new(),
            counts: Counts::default(),
            findings: BTreeSet::new(),
            decisions: BTreeSet::new(),
            outcomes: BTreeSet::new(),
            head: Vec::new(),
            public_key: Vec::new(),
            sensor: String::new(),
            manifest: None,
        }
    }

    fn file(&mut self, file: File) -> Result<(), ArchiveError> {
        let File { run, kind, name, modified_s, content } = file;
        let parts = self.parts.entry(kind).or_default();
        *parts += 1;
        // The manifest is the last one, a list's parts come in their order, others come once.
        if self.manifest.is_some() || layout::named(&name) != Some((kind, *parts)) {
            return Err(ArchiveError::Order { name });
        }
        let first = self.run.get_or_insert_with(|| {
            self.modified_s = modified_s;
            run.clone()
        });
        if *first != run {
            return Err(ArchiveError::OtherRun { place: name, run: first.clone(), found: run });
        }
        if self.modified_s != modified_s {
            return Err(ArchiveError::Header);
        }
        let sha256 = digest(&content);
        self.content(kind, &name, &run, &content, &sha256)?;
        if kind != Kind::Manifest {
            self.files.push(ExportedFile { name, bytes: content.len() as u64, sha256 });
        }
        Ok(())
    }

    fn content(
        &mut self,
        kind: Kind,
        name: &str,
        run: &str,
        content: &[u8],
        sha256: &str,
    ) -> Result<(), ArchiveError> {
        match kind {
            Kind::Events => each(name, content, |place, event: Ocsf| {
                if event.is_gap() {
                    return Ok(());
                }
                self.counts.events += 1;
                of_run(place, run, event.run())
            })?,
            Kind::Findings => each(name, content, |place, finding: Ocsf| {
                of_run(place, run, finding.run())?;
                self.counts.findings += 1;
                remember(&mut self.findings, place, finding.id())
            })?,
            Kind::Decisions => each(name, content, |place, decision: Decision| {
                of_run(place, run, &decision.run)?;
                self.counts.decisions += 1;
                remember(&mut self.decisions, place, decision.id)
            })?,
            Kind::Outcomes => each(name, content, |place, outcome: Outcome| {
                of_run(place, run, &outcome.run)?;
                self.counts.outcomes += 1;
                remember(&mut self.outcomes, place, outcome.decision)
            })?,
            Kind::Ledger => {
                for line in lines(name, content) {
                    let (_, line) = line?;
                    self.ledger.entry(run, line).map_err(flaw)?;
                    self.counts.entries += 1;
                }
            }
            Kind::Head => self.head = content.to_vec(),
            Kind::PublicKey => self.public_key = content.to_vec(),
            Kind::ReportText | Kind::ReportPage => names_run(kind, run, content)?,
            Kind::ReportJson => {
                let report: Report = whole(kind, content)?;
                of_run(Place(name, None), run, &report.run.id)?;
            }
            Kind::Status => {
                let Status { sensor } = whole(kind, content)?;
                self.sensor = sensor;
            }
            Kind::Doctor => {
                let IgnoredAny = whole(kind, content)?;
            }
            Kind::Manifest => self.manifest = Some((whole(kind, content)?, sha256.to_owned())),
        }
        Ok(())
    }

    fn finish(self, bytes: u64) -> Result<Checked, ArchiveError> {
        let is_there = |kind: &Kind| self.parts.contains_key(kind);
        if let Some(missing) = Kind::ALL.into_iter().find(|kind| !is_there(kind)) {
            return Err(ArchiveError::Missing { name: missing.name().to_owned() });
        }
        let (manifest, manifest_sha256) = self.manifest.unwrap_or_default();
        if manifest.format != FORMAT {
            return Err(ArchiveError::Format { found: manifest.format });
        }
        same_files(&manifest.files, &self.files)?;
        let run = self.run.unwrap_or_default();
        of_run(Place(Kind::Manifest.name(), None), &run, &manifest.run)?;
        let proven = self.ledger.finish(&self.head, &self.public_key).map_err(flaw)?;
        for (what, agrees) in [
            ("another sensor's status is in it", manifest.sensor == self.sensor),
            ("the files are of another time", manifest.time_unix_ns.0 / 1_000_000_000 == self.modified_s),
            ("the part of the ledger is another one", manifest.ledger == proven.part),
        ] {
            if !agrees {
                return Err(ArchiveError::Manifest { what });
            }
        }
        if proven.whole {
            for (kind, found, known) in [
                (Kind::Findings, &self.findings, &proven.findings),
                (Kind::Decisions, &self.decisions, &proven.decisions),
                (Kind::Outcomes, &self.outcomes, &proven.outcomes),
            ] {
                if let Some(id) = found.difference(known).next() {
                    return Err(ArchiveError::NotInLedger { name: kind.name(), id: id.clone() });
                }
            }
        }
        Ok(Checked { manifest, manifest_sha256, counts: self.counts, bytes })
    }
}

/// Of `report.json`.
#[derive(Deserialize)]
struct Report {
    run: Run,
}

#[derive(Deserialize)]
struct Run {
    id: String,
}

/// Of `status.json`.
#[derive(Deserialize)]
struct Status {
    sensor: String,
}

/// A file, and where it has lines the line.
#[derive(Clone, Copy)]
struct Place<'a>(&'a str, Option<u64>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(name, Some(line)) => write!(f, "{name}, line {line}"),
            Self(name, None) => f.write_str(name),
        }
    }
}

fn remember(ids: &mut BTreeSet<String>, place: Place<'_>, id: String) -> Result<(), ArchiveError> {
    if id.len() > ID_BYTES {
        return Err(ArchiveError::Id { place: place.to_string() });
    }
    ids.insert(id);
    if ids.len() > IDS { Err(ArchiveError::TooMany { what: "findings or acts", most: IDS }) } else { Ok(()) }
}

fn flaw(source: impl Error + Send + Sync + 'static) -> ArchiveError {
    ArchiveError::Ledger { source: Box::new(source) }
}

/// Takes each line of a part.
fn each<T: DeserializeOwned>(
    name: &str,
    content: &[u8],
    mut take: impl FnMut(Place<'_>, T) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    for line in lines(name, content) {
        let (line, text) = line?;
        let parsed = serde_json::from_slice(text);
        let parsed = parsed.map_err(|source| ArchiveError::Line { name: name.to_owned(), line, source })?;
        take(Place(name, Some(line)), parsed)?;
    }
    Ok(())
}

fn whole<T: DeserializeOwned>(kind: Kind, content: &[u8]) -> Result<T, ArchiveError> {
    serde_json::from_slice(content).map_err(|source| ArchiveError::Content { name: kind.name(), source })
}

fn of_run(place: Place<'_>, run: &str, found: &str) -> Result<(), ArchiveError> {
    if run == found {
        return Ok(());
    }
    let (place, run, found) = (place.to_string(), run.to_owned(), found.to_owned());
    Err(ArchiveError::OtherRun { place, run, found })
}

/// Text for people has the run's id in its head.
fn names_run(kind: Kind, run: &str, content: &[u8]) -> Result<(), ArchiveError> {
    if content.windows(run.len()).any(|part| part == run.as_bytes()) {
        return Ok(());
    }
    Err(ArchiveError::OtherReport { name: kind.name(), run: run.to_owned() })
}

/// The files of the manifest are those of the archive.
fn same_files(named: &[ExportedFile], found: &[ExportedFile]) -> Result<(), ArchiveError> {
    let by_name = |files: &[ExportedFile]| -> BTreeMap<String, ExportedFile> {
        files.iter().map(|file| (file.name.clone(), file.clone())).collect()
    };
    let (of_manifest, of_archive) = (by_name(named), by_name(found));
    for (name, file) in &of_manifest {
        match of_archive.get(name) {
            None => return Err(ArchiveError::Missing { name: name.clone() }),
            Some(other) if other != file => return Err(ArchiveError::Digest { name: name.clone() }),
            Some(_) => {}
        }
    }
    if let Some(name) = of_archive.keys().find(|name| !of_manifest.contains_key(*name)) {
        return Err(ArchiveError::Extra { name: name.clone() });
    }
    if named == found {
        Ok(())
    } else {
        Err(ArchiveError::Manifest { what: "the files are in another order" })
    }
}
