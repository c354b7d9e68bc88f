//! Numbers and texts as bytes: protobuf varints, a signed one zigzag, a text behind its length.

use prost::encoding::{decode_varint, encode_varint};

use crate::error::RecordingError;

pub(crate) fn put(number: u64, to: &mut Vec<u8>) {
    encode_varint(number, to);
}

/// A difference, small in either direction.
pub(crate) fn put_difference(now: u64, before: u64, to: &mut Vec<u8>) {
    let signed = now.wrapping_sub(before).cast_signed();
    put(((signed << 1) ^ (signed >> 63)).cast_unsigned(), to);
}

/// A bit for each number that has changed.
pub(crate) fn changed<const COUNT: usize>(now: &[u64; COUNT], before: &[u64; COUNT]) -> u64 {
    let places = now.iter().zip(before).enumerate();
    places.fold(0, |bits, (place, (now, before))| bits | u64::from(now != before) << place)
}

/// The differences of those.
pub(crate) fn put_changes<const COUNT: usize>(now: &[u64; COUNT], before: &[u64; COUNT], to: &mut Vec<u8>) {
    let changes = now.iter().zip(before).filter(|(now, before)| now != before);
    changes.for_each(|(now, before)| put_difference(*now, *before, to));
}

pub(crate) fn put_text(text: &[u8], to: &mut Vec<u8>) {
    put(text.len() as u64, to);
    to.extend_from_slice(text);
}

/// What is left to read.
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, RecordingError> {
        decode_varint(&mut self.0).map_err(|source| RecordingError::Item { source })
    }

    pub(crate) fn difference(&mut self, before: u64) -> Result<u64, RecordingError> {
        let zigzag = self.number()?;
        let signed = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        Ok(before.wrapping_add(signed))
    }

    /// Changes the numbers whose bits are set.
    pub(crate) fn changes(&mut self, bits: u64, row: &mut [u64]) -> Result<(), RecordingError> {
        for (place, value) in row.iter_mut().enumerate() {
            if bits & (1 << place) != 0 {
                *value = self.difference(*value)?;
            }
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, count: u64) -> Result<&'a [u8], RecordingError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(RecordingError::Cut)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a [u8], RecordingError> {
        let count = self.number()?;
        self.bytes(count)
    }
}
