//! Reads an archive, file by file.

use std::io::BufRead;

use crate::{
    ArchiveError, FILES, Kind,
    header::{BLOCK, Entry, ZEROS, padding},
    layout,
    seal::Unpacker,
};

/// A file, whole.
pub(crate) struct File {
    pub(crate) run: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Unix seconds.
    pub(crate) modified_s: u64,
    pub(crate) content: Vec<u8>,
}

/// An archive that is being read. It holds one file at a time.
pub(crate) struct Reader<R: BufRead> {
    input: Unpacker<R>,
    count: usize,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R) -> Result<Self, ArchiveError> {
        Ok(Self { input: Unpacker::new(input)?, count: 0 })
    }

    /// The next file; `None` at the end of the tar.
    pub(crate) fn next(&mut self) -> Result<Option<File>, ArchiveError> {
        let mut header = ZEROS;
        self.input.fill(&mut header)?;
        if header == ZEROS {
            self.input.fill(&mut header)?;
            return if header == ZEROS { Ok(None) } else { Err(ArchiveError::Header) };
        }
        let Entry { path, bytes, modified_s } = Entry::parse(&header).ok_or(ArchiveError::Header)?;
        let parts = layout::split(&path).and_then(|(run, name)| Some((run, name, layout::named(name)?.0)));
        let Some((run, name, kind)) = parts else { return Err(ArchiveError::Name { path }) };
        let (run, name) = (run.to_owned(), name.to_owned());
        if bytes > kind.most_bytes() {
            return Err(ArchiveError::TooLarge { name, bytes, most: kind.most_bytes() });
        }
        self.count += 1;
        if self.count > FILES + 1 {
            return Err(ArchiveError::TooMany { what: "files", most: FILES });
        }
        // As much as really comes: a size is only what a head says.
        let mut content = Vec::new();
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        while left > 0 {
            let (start, step) = (content.len(), left.min(STEP));
            content.resize(start + step, 0);
            self.input.fill(&mut content[start..])?;
            left -= step;
        }
        let mut rest = ZEROS;
        self.input.fill(&mut rest[..padding(bytes)])?;
        if rest != ZEROS {
            return Err(ArchiveError::Padding { name });
        }
        Ok(Some(File { run, kind, name, modified_s, content }))
    }

    /// Behind the last file. The bytes of the archive.
    pub(crate) fn finish(self) -> Result<u64, ArchiveError> {
        self.input.finish()
    }
}

/// Bytes of a content that are asked for at once.
const STEP: usize = 256 * BLOCK;
