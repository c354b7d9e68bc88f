//! A stretch of a tape: readable by itself, but for the columns that the first part of its life
//! names.

use crate::error::RecordingError;

/// Most bytes of a part before compression.
pub(crate) const PLAIN_BYTES: usize = 256 << 10;

/// Zstandard's.
const LEVEL: i32 = 3;

/// As it comes off a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The sensor's life that it is of: what the ids of its run's findings begin with.
    pub life: String,
    /// Its place in that life, from 0.
    pub number: u64,
    pub plain: Vec<u8>,
}

/// As it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub life: String,
    pub number: u64,
    pub body: Vec<u8>,
}

impl Part {
    /// Compresses it.
    ///
    /// # Errors
    ///
    /// The compressor failed.
    pub fn pack(&self) -> Result<Packed, RecordingError> {
        let Self { life, number, plain } = self;
        let body =
            zstd::bulk::compress(plain, LEVEL).map_err(|source| RecordingError::Compressed { source })?;
        Ok(Packed { life: life.clone(), number: *number, body })
    }
}

impl Packed {
    pub(crate) fn plain(&self) -> Result<Vec<u8>, RecordingError> {
        zstd::bulk::decompress(&self.body, PLAIN_BYTES)
            .map_err(|source| RecordingError::Compressed { source })
    }
}
