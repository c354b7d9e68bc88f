//! Blocks: some thousand events of one run, packed: what is stored and sent instead of each event
//! by itself.
//!
//! # What a block is
//!
//! [`v1::Block`](crate::v1::Block) is an encoded [`v1::BlockHead`](crate::v1::BlockHead), a
//! compressed body, and a checksum over both. A block does not say where it stands: that is the
//! position of the item that it is, and its events have the positions from there on, without holes.
//! So it stays the same where positions are counted from elsewhere.
//!
//! # The body
//!
//! One Zstandard frame. A number is a protobuf varint; a signed one zigzag. A text is its length
//! and its bytes. `count` is the head's.
//!
//! ```text
//! prefix                text     of ids: see below
//! processes             number, then as many texts, each an encoded v1::Process
//! kinds                 number, then as many texts, each the encoded field of v1::Event's oneof
//! rings                 count numbers
//! times                 count signed numbers: Unix ns, less that of the event before (0 at first)
//! sequences             count signed numbers, less the one that follows on the event before in the ring
//! processes of events   count signed numbers: 0 = none, else 1 + place above; less the one before
//! kinds of events       count numbers: place above
//! ids                   number, then as many of: events in between, text
//! ```
//!
//! Each process and each kind stands there once, however many events have it. An id of the form
//! `<prefix>-<c or b>-<sequence>`, by ring, is left out; `ids` are those of other forms.
//!
//! # Limits
//!
//! [`EVENTS`], [`PLAIN_BYTES`] before compression, [`UNPACKED_BYTES`] of all events. A block is
//! smaller than one message's share of 1 MiB. Opening is total: any bytes are events or an error,
//! and no more memory is taken than the limits allow.

mod fact;

mod filter;

mod packable;

mod pack;

mod sieve;

mod open;

mod question;

#[cfg(test)]
mod tests;

pub use fact::{Fact, kind_bit};
pub use open::{BlockError, Checked, Events};
pub use pack::{PackError, Packed, Packer, with_body};
pub use packable::Packable;
pub use question::Question;
pub use sieve::{Sieve, Sift};

/// Most events of a block.
pub const EVENTS: usize = 4_096;
/// Most bytes of a body before it is compressed.
pub const PLAIN_BYTES: usize = 896 << 10;
/// Most bytes that the processes and kinds of all events have, each counted for every event that
/// has it.
pub const UNPACKED_BYTES: usize = 16 << 20;

/// Of the body that is written here.
const LAYOUT: u32 = 1;
/// Zstandard's. Higher ones save a few percent for a multiple of the time.
const LEVEL: i32 = 1;
/// Most bytes of a run's or an agent's name in a head.
const NAME_BYTES: usize = 4 << 10;

fn checksum(head: &[u8], body: &[u8]) -> u64 {
    use twox_hash::XxHash3_64;
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(head), body)
}

/// The ring's place among the last sequences; those that are not known have one together.
fn lane(ring: i32) -> usize {
    usize::try_from(ring).map_or(3, |ring| ring.min(3))
}

/// What stands between prefix and sequence in the ids of a ring's events.
fn letter(ring: i32) -> Option<&'static str> {
    use crate::v1::event::Ring;
    match Ring::try_from(ring) {
        Ok(Ring::Critical) => Some("-c-"),
        Ok(Ring::Bulk) => Some("-b-"),
        Ok(Ring::Unspecified) | Err(_) => None,
    }
}
