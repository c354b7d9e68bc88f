//! A record between the ring and the analyst.

use sentry_common::{
    abi::{RecordHeader, ring},
    table::RunTag,
};

use zerocopy::IntoBytes as _;

use super::{DecodeError, Record, behind};

/// The bytes of a record. Its header is read once; the rest is not looked at before it is decoded,
/// and then where it is.
pub struct Raw {
    header: RecordHeader,
    /// Aligned as records are.
    words: Box<[u64]>,
    length: usize,
}

impl Raw {
    /// Copies a record out of its ring.
    ///
    /// # Errors
    /// When the bytes have no header of this schema.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let header = super::header(bytes)?;
        let (whole, rest) = bytes.as_chunks::<{ size_of::<u64>() }>();
        // Records are padded to words, so that there is no rest.
        let mut last = [0; size_of::<u64>()];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(&last);
        let words = whole.iter().chain(last).map(|word| u64::from_ne_bytes(*word)).collect();
        Ok(Self { header, words, length: bytes.len() })
    }

    #[must_use]
    pub fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// The record's run.
    #[must_use]
    pub fn tag(&self) -> RunTag {
        RunTag { slot: self.header.run_slot, generation: self.header.run_generation }
    }

    /// The ring that the header names. Decoding checks whether it is the ring of this kind.
    #[must_use]
    pub fn ring(&self) -> usize {
        if self.header.ring as usize == ring::CRITICAL { ring::CRITICAL } else { ring::BULK }
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.words)
    }

    /// Reads what is behind the header.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(&self) -> Result<Record<'_>, DecodeError> {
        behind(&self.header, &self.words.as_bytes()[..self.length])
    }
}
