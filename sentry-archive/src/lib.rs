//! The archive of a run: what `sentry export` writes and `sentry verify` reads. No I/O but the
//! reader or writer that is handed in, and no clock.
//!
//! # Form
//!
//! A `.tar.zst` that any tar reads: one Zstandard frame with a checksum, which holds a tar of
//! regular files, and behind it a skippable frame, the seal.
//!
//! ```text
//! agentsentry-RUN/events.jsonl      events in OCSF, and the gaps between them
//!                 findings.jsonl    findings in OCSF
//!                 decisions.jsonl   docs/schema/decision.json
//!                 outcomes.jsonl    docs/schema/outcome.json
//!                 ledger.jsonl      entries of the ledger, from the run's first one to HEAD
//!                 HEAD              the ledger's signed head
//!                 ledger.pub        the key that it is signed with
//!                 report.txt        the report, whole, without colours
//!                 report.json       docs/schema/report.json
//!                 report.html       one page
//!                 status.json       `sentry health --json`
//!                 doctor.json       `sentry doctor --json`
//!                 manifest.json     docs/schema/export-manifest.json
//! seal              5e 2a 4d 18 | 20 00 00 00 | SHA-256 of all bytes before the seal
//! ```
//!
//! Each name stands there, also where the file is empty. A list goes on in `events.2.jsonl`,
//! `events.3.jsonl`, … where it is longer than [`PART_BYTES`], so that neither writer nor reader
//! holds more than one part of each list. The manifest is the last file.
//!
//! There is one form for one content: tar headers are ustar with mode 0644, owner 0 and the second
//! of the export, padding is zero, and nothing stands behind the seal. So nothing can be hidden
//! between what the manifest covers.
//!
//! # What proves what
//!
//! - The seal: no byte of the file was damaged. It is no secret: whoever changes the file can seal
//!   it again.
//! - The manifest: which files there are, with size and SHA-256. An entry `exported` of the ledger
//!   has the manifest's SHA-256, so that whoever has the ledger knows that all of it is as it was
//!   exported.
//! - The ledger's part: its entries follow each other up to HEAD, which the sensor's key signed.
//!   Findings, decisions and outcomes of the archive are among them.
//! - The run: every line of every list, the reports and the manifest name the same one.
//!
//! # Limits
//!
//! [`FILES`] files of at most [`FILE_BYTES`], lines of [`LINE_BYTES`], [`IDS`] findings and as many
//! acts, and [`EXPANSION`] bytes for each one of the file, beside the first 64 MiB. More is refused
//! before it is held.
#![forbid(unsafe_code)]

mod layout;

mod error;

mod header;

mod line;

mod seal;

mod write;

mod read;

mod check;

pub use check::{Checked, Counts, LedgerProof, ProvenLedger, check};
pub use error::ArchiveError;
pub use layout::{EXPANSION, FILE_BYTES, FILES, FORMAT, ID_BYTES, IDS, Kind, LINE_BYTES, PART_BYTES};
pub use seal::sealed;
pub use write::Writer;
