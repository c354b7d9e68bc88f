//! Whether a ledger has the entry that an archive was noted by.

use std::path::Path;

use sentry_agent::ledger::{self, Begins, Entry, Flaw, Part, PartProof};
use sentry_archive::LedgerProof as _;
use sentry_proto::v1::{self, ledger_request::Begins as Asked};
use sentry_view::{Exported, LedgerPart};
use serde::Deserialize as _;

use super::{client::Client, error::CliError, render::archive::Noted};

/// Bytes of a ledger that are looked at in one go.
const STEP_BYTES: usize = 1 << 20;

/// What a ledger says of an archive. Its part from there on is proven.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) ledger: LedgerPart,
    pub(super) entry: Option<Noted>,
}

/// Looks for the archive with this manifest in the ledger of a sensor.
pub(super) async fn by_sensor(client: &mut Client, manifest_sha256: &str) -> Result<Recorded, CliError> {
    let mut look = Look::new(manifest_sha256);
    let ends = each_part(client, Asked::ManifestSha256(manifest_sha256.to_owned()), |lines| {
        look.lines(lines)?;
        Ok(())
    })
    .await?;
    Ok(look.finish(&ends.head, &ends.public_key)?)
}

/// As [`by_sensor`], in the ledger in a directory, which is proven as a whole.
pub(super) fn by_directory(dir: &Path, manifest_sha256: &str) -> Result<Recorded, CliError> {
    ledger::verify(dir)?;
    let mut look = Look::new(manifest_sha256);
    let mut part = Part::open(dir, Begins::Export(manifest_sha256.to_owned()))?;
    while let Some(lines) = part.next(STEP_BYTES)? {
        look.lines(&lines)?;
    }
    let ends = part.ends();
    Ok(look.finish(&ends.head, &ends.public_key)?)
}

/// Reads a part of a sensor's ledger; returns what proves its end.
pub(super) async fn each_part(
    client: &mut Client,
    begins: Asked,
    mut take: impl FnMut(&[u8]) -> Result<(), CliError>,
) -> Result<v1::LedgerPart, CliError> {
    let request = v1::LedgerRequest { begins: Some(begins) };
    let mut parts = client.ledger(request).await?.into_inner();
    while let Some(part) = parts.message().await? {
        take(&part.entries)?;
        if !part.head.is_empty() {
            return Ok(part);
        }
    }
    Err(CliError::Incomplete { field: "head" })
}

/// The lines in some bytes, without their newlines.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

struct Look<'a> {
    manifest_sha256: &'a str,
    /// The first entry, which is the one that is looked for if there is one.
    first: Option<Entry>,
    proof: PartProof,
}

impl<'a> Look<'a> {
    fn new(manifest_sha256: &'a str) -> Self {
        Self { manifest_sha256, first: None, proof: PartProof::default() }
    }

    fn lines(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        for line in lines(bytes) {
            self.proof.entry("", line)?;
            if self.first.is_none() {
                self.first = Some(serde_json::from_slice(line).map_err(|source| Flaw::NotJson { source })?);
            }
        }
        Ok(())
    }

    fn finish(self, head: &[u8], public_key: &[u8]) -> Result<Recorded, Flaw> {
        let ledger = self.proof.finish(head, public_key)?.part;
        let entry = self.first.and_then(|entry| {
            let exported = Exported::deserialize(&entry.body).ok()?;
            let is_it = entry.kind == ledger::EXPORTED && exported.manifest_sha256 == self.manifest_sha256;
            let time_unix_ns = entry.time.parse().unwrap_or_default();
            is_it.then_some(Noted { seq: entry.seq, time_unix_ns, exported })
        });
        Ok(Recorded { ledger, entry })
    }
}
