//! The outermost layer: one Zstandard frame, and behind it the digest of its bytes in a skippable
//! frame, so that every Zstandard reader takes the file.

use std::io::{self, BufRead, Read, Write};

use sha2::{Digest as _, Sha256};
use zstd::stream::{read::Decoder, write::Encoder};

use crate::{ArchiveError, EXPANSION};

/// A skippable frame of 32 bytes.
const SEAL_HEAD: [u8; 8] = [0x5e, 0x2a, 0x4d, 0x18, 32, 0, 0, 0];
/// Bytes that need no reason.
const SMALL: u64 = 64 << 20;

/// Hashes what it hands on.
pub(crate) struct Hashing<T> {
    inner: T,
    sha256: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, sha256: Sha256::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        // What is consumed was filled before, so that this reads nothing.
        if let Ok(filled) = self.inner.fill_buf() {
            self.sha256.update(&filled[..count.min(filled.len())]);
        }
        self.bytes += count as u64;
        self.inner.consume(count);
    }
}

/// Packs what is written, and seals it at the end.
pub(crate) struct Packer<W: Write>(Encoder<'static, Hashing<W>>);

impl<W: Write> Packer<W> {
    pub(crate) fn new(output: W) -> io::Result<Self> {
        let mut encoder = Encoder::new(Hashing::new(output), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Returns the output, and how many bytes were written to it.
    pub(crate) fn finish(self) -> io::Result<(W, u64)> {
        let Hashing { mut inner, sha256, bytes } = self.0.finish()?;
        inner.write_all(&SEAL_HEAD)?;
        inner.write_all(&sha256.finalize())?;
        inner.flush()?;
        Ok((inner, bytes + SEAL_BYTES))
    }
}

const SEAL_BYTES: u64 = SEAL_HEAD.len() as u64 + 32;

/// `plain`, packed and sealed as the tar of an archive is: for tests of what reads it.
///
/// # Errors
/// When there is no memory for it.
pub fn sealed(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = Packer::new(Vec::new())?;
    packer.write(plain)?;
    Ok(packer.finish()?.0)
}

/// Unpacks, and looks at the seal at the end.
pub(crate) struct Unpacker<R: BufRead> {
    decoder: Decoder<'static, Hashing<R>>,
    /// Unpacked so far.
    bytes: u64,
}

impl<R: BufRead> Unpacker<R> {
    pub(crate) fn new(input: R) -> Result<Self, ArchiveError> {
        let mut decoder = Decoder::with_buffer(Hashing::new(input))
            .map_err(|source| ArchiveError::Read { source })?
            .single_frame();
        // 128 MiB, what Zstandard itself takes unless it is asked for more.
        decoder.window_log_max(27).map_err(|source| ArchiveError::Read { source })?;
        Ok(Self { decoder, bytes: 0 })
    }

    /// Fills all of `into`.
    pub(crate) fn fill(&mut self, mut into: &mut [u8]) -> Result<(), ArchiveError> {
        while !into.is_empty() {
            match self.some(into)? {
                0 => return Err(ArchiveError::Cut),
                count => into = &mut into[count..],
            }
        }
        Ok(())
    }

    fn some(&mut self, into: &mut [u8]) -> Result<usize, ArchiveError> {
        let count = self.decoder.read(into).map_err(failed)?;
        self.bytes += count as u64;
        let allowed = self.decoder.get_ref().bytes.saturating_mul(EXPANSION).saturating_add(SMALL);
        if self.bytes > allowed { Err(ArchiveError::Bomb) } else { Ok(count) }
    }

    /// To be called where nothing may be left: the frame has to end, with its checksum, then the
    /// seal has to fit, then the input has to end. Returns the bytes of all of it.
    pub(crate) fn finish(mut self) -> Result<u64, ArchiveError> {
        if self.some(&mut [0])? > 0 {
            return Err(ArchiveError::Behind);
        }
        let Hashing { mut inner, sha256, bytes } = self.decoder.finish();
        let mut seal = [0; SEAL_HEAD.len() + 32];
        inner.read_exact(&mut seal).map_err(failed)?;
        let (head, digest) = seal.split_at(SEAL_HEAD.len());
        if head != SEAL_HEAD || digest != &*sha256.finalize() {
            return Err(ArchiveError::Seal);
        }
        let rest = inner.fill_buf().map_err(failed)?;
        if rest.is_empty() { Ok(bytes + SEAL_BYTES) } else { Err(ArchiveError::Behind) }
    }
}

/// The file system's errors have a number, Zstandard's have none.
fn failed(source: io::Error) -> ArchiveError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Cut,
        _ if source.raw_os_error().is_some() => ArchiveError::Read { source },
        _ => ArchiveError::NotPacked { source },
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn open(packed: &[u8], length: usize) -> Result<Vec<u8>, ArchiveError> {
        let mut unpacker = Unpacker::new(packed)?;
        let mut plain = vec![0; length];
        unpacker.fill(&mut plain)?;
        unpacker.finish()?;
        Ok(plain)
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let plain = b"a run ".repeat(1_000);
        let packed = sealed(&plain).unwrap();
        assert_eq!(open(&packed, plain.len()).unwrap(), plain);
        assert!(matches!(open(&packed, plain.len() - 1), Err(ArchiveError::Behind)));
        assert!(matches!(open(&packed, plain.len() + 1), Err(ArchiveError::Cut)));
        let more = [packed.as_slice(), b"x"].concat();
        assert!(matches!(open(&more, plain.len()), Err(ArchiveError::Behind)));
    }

    #[test]
    fn what_grows_without_end_is_left_early() {
        let packed = sealed(&vec![0; 128 << 20]).unwrap();
        let mut unpacker = Unpacker::new(packed.as_slice()).unwrap();
        let mut block = vec![0; 1 << 20];
        let ended = std::iter::repeat_with(|| unpacker.fill(&mut block)).find_map(Result::err);
        assert!(matches!(ended, Some(ArchiveError::Bomb)), "{ended:?}");
        assert!(unpacker.bytes < 100 << 20, "{}", unpacker.bytes);
    }
}
