//! A record between the ring and the analyst.

use sentry_common::{
    abi::{RecordHeader, ring},
    table::RunTag,
};

use super::{DecodeError, Record, behind};

/// The bytes of a record. The header is read once, the rest when the record is decoded.
pub struct Raw {
    header: RecordHeader,
    bytes: Box<[u8]>,
}

impl Raw {
    /// Copies a record out of its ring.
    ///
    /// # Errors
    /// When the bytes have no header of this schema.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { header: super::header(bytes)?, bytes: bytes.into() })
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
        size_of::<Self>() + self.bytes.len()
    }

    /// Reads what is behind the header.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(&self) -> Result<Record, DecodeError> {
        behind(&self.header, &self.bytes)
    }
}
