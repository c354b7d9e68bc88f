//! Headers of the tar: one form for one path, size and second.

use tar::{EntryType, Header};

/// What tar counts in.
pub(crate) const BLOCK: usize = 512;
/// A block of zeros; two of them end a tar.
pub(crate) const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// Unix seconds.
    pub(crate) modified_s: u64,
}

impl Entry {
    /// `None` for a path that tar has no room for.
    pub(crate) fn header(&self) -> Option<[u8; BLOCK]> {
        let mut header = Header::new_ustar();
        header.set_path(&self.path).ok()?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(self.bytes);
        header.set_mtime(self.modified_s);
        header.set_cksum();
        Some(*header.as_bytes())
    }

    /// Reads a header that [`Self::header`] made; `None` for any other.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let found = Header::from_byte_slice(block);
        let path = String::from_utf8(found.path_bytes().into_owned()).ok()?;
        let entry = Self { path, bytes: found.entry_size().ok()?, modified_s: found.mtime().ok()? };
        (entry.header().as_ref() == Some(block)).then_some(entry)
    }
}

/// Zeros behind a content of this size.
pub(crate) const fn padding(bytes: u64) -> usize {
    let over = (bytes % BLOCK as u64) as usize;
    if over == 0 { 0 } else { BLOCK - over }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_any_other_bit_is_none() {
        let entry = Entry { path: "agentsentry-r/HEAD".into(), bytes: 1_000, modified_s: 1_760_000_000 };
        let mut header = entry.header().unwrap();
        assert_eq!(Entry::parse(&header), Some(entry.clone()));
        for at in 0..BLOCK {
            for bit in 0..8 {
                header[at] ^= 1 << bit;
                assert_eq!(Entry::parse(&header), None, "byte {at} bit {bit}");
                header[at] ^= 1 << bit;
            }
        }
        assert_eq!(Entry { path: "a/../b".into(), ..entry.clone() }.header(), None);
        assert_eq!(Entry { path: "/a".into(), ..entry }.header(), None);
    }

    #[test]
    fn a_content_ends_with_its_block() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }
}
