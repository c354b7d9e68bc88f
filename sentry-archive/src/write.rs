//! Writes an archive, as its parts come.

use std::{collections::BTreeMap, io::Write};

use sentry_view::{ExportManifest, ExportedFile};

use crate::{
    ArchiveError, FILES, Kind, LINE_BYTES, PART_BYTES,
    header::{Entry, ZEROS, padding},
    layout,
    line::digest,
    seal::Packer,
};

/// An archive that is being written. What it has written is none before [`Self::finish`].
pub struct Writer<W: Write> {
    output: Packer<W>,
    folder: String,
    modified_s: u64,
    /// Lines that wait for their part to be full, and the parts that were written.
    lists: BTreeMap<Kind, (Vec<u8>, usize)>,
    files: Vec<ExportedFile>,
    written: Vec<Kind>,
}

impl<W: Write> Writer<W> {
    /// Begins the archive of a run that is exported at this moment.
    ///
    /// # Errors
    /// When the run's id cannot be the name of a folder.
    pub fn new(output: W, run: &str, time_unix_ns: u64) -> Result<Self, ArchiveError> {
        let folder = layout::folder(run).ok_or_else(|| ArchiveError::Run { run: run.to_owned() })?;
        Ok(Self {
            output: Packer::new(output).map_err(|source| ArchiveError::Write { source })?,
            folder,
            modified_s: time_unix_ns / 1_000_000_000,
            lists: Kind::ALL
                .into_iter()
                .filter(|kind| kind.is_list())
                .map(|kind| (kind, (Vec::new(), 0)))
                .collect(),
            files: Vec::new(),
            written: Vec::new(),
        })
    }

    /// Adds a line, with its newline, to a list.
    ///
    /// # Errors
    /// When the output fails, or the line is too long.
    pub fn line(&mut self, list: Kind, line: &[u8]) -> Result<(), ArchiveError> {
        let name = list.name();
        let Some((lines, parts)) = self.lists.get_mut(&list) else {
            return Err(ArchiveError::Misplaced { name, why: "it is no list" });
        };
        if line.len() > LINE_BYTES {
            return Err(ArchiveError::Misplaced { name, why: "a line is longer than any may be" });
        }
        lines.extend_from_slice(line);
        if lines.len() < PART_BYTES {
            return Ok(());
        }
        *parts += 1;
        let (lines, number) = (std::mem::take(lines), *parts);
        self.put(list, number, &lines)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When the output fails, or the file is too large, a list, or there already.
    pub fn file(&mut self, kind: Kind, content: &[u8]) -> Result<(), ArchiveError> {
        let name = kind.name();
        if kind.is_list() || kind == Kind::Manifest {
            return Err(ArchiveError::Misplaced { name, why: "it is made of what the others are" });
        }
        if self.written.contains(&kind) {
            return Err(ArchiveError::Misplaced { name, why: "it is there already" });
        }
        self.written.push(kind);
        self.put(kind, 1, content)
    }

    /// Ends the archive with its manifest, which `manifest` makes of the files. Returns the output,
    /// its bytes, and the manifest's SHA-256 in hex.
    ///
    /// # Errors
    /// When the output fails, or a file is missing.
    pub fn finish(
        mut self,
        manifest: impl FnOnce(Vec<ExportedFile>) -> ExportManifest,
    ) -> Result<(W, u64, String), ArchiveError> {
        for (list, (lines, parts)) in std::mem::take(&mut self.lists) {
            // A list without lines is a file too.
            if parts == 0 || !lines.is_empty() {
                self.put(list, parts + 1, &lines)?;
            }
        }
        let is_there = |kind: &Kind| kind.is_list() || *kind == Kind::Manifest || self.written.contains(kind);
        if let Some(missing) = Kind::ALL.into_iter().find(|kind| !is_there(kind)) {
            return Err(ArchiveError::Missing { name: missing.name().to_owned() });
        }
        let manifest = manifest(std::mem::take(&mut self.files));
        let name = Kind::Manifest.name();
        let mut content =
            serde_json::to_vec_pretty(&manifest).map_err(|source| ArchiveError::Content { name, source })?;
        content.push(b'\n');
        self.put(Kind::Manifest, 1, &content)?;
        let end = self.output.write(&ZEROS).and_then(|()| self.output.write(&ZEROS));
        let (output, bytes) =
            end.and_then(|()| self.output.finish()).map_err(|source| ArchiveError::Write { source })?;
        Ok((output, bytes, digest(&content)))
    }

    fn put(&mut self, kind: Kind, number: usize, content: &[u8]) -> Result<(), ArchiveError> {
        let (name, bytes, most) = (layout::name(kind, number), content.len() as u64, kind.most_bytes());
        if bytes > most {
            return Err(ArchiveError::TooLarge { name, bytes, most });
        }
        if self.files.len() >= FILES {
            return Err(ArchiveError::TooMany { what: "files", most: FILES });
        }
        let path = format!("{}/{name}", self.folder);
        let entry = Entry { path, bytes, modified_s: self.modified_s };
        let header = entry.header().ok_or(ArchiveError::Header)?;
        let output = &mut self.output;
        let written = output.write(&header).and_then(|()| output.write(content));
        written
            .and_then(|()| output.write(&ZEROS[..padding(bytes)]))
            .map_err(|source| ArchiveError::Write { source })?;
        self.files.push(ExportedFile { name, bytes, sha256: digest(content) });
        Ok(())
    }
}
