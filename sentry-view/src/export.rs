//! What an archive of a run says of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Completeness, Exact, RunState, type_of::type_of};

type_of!(
    /// `type` of an [`ExportManifest`].
    ExportManifestType { ExportManifest }
);

/// `manifest.json` of an archive: which run it is of, and every other file with its digest. The
/// SHA-256 of this file stands in the ledger of the sensor that the archive was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportManifest {
    #[serde(rename = "type")]
    pub of: ExportManifestType,
    /// Version of the archive's format.
    pub format: u32,
    /// Id of the run.
    pub run: String,
    /// Name of the agent.
    pub agent: String,
    /// As it was when the archive was made: a run that is not `ended` went on afterwards.
    pub state: RunState,
    /// The record of the run is complete, and the sensor still held all of it.
    pub complete: bool,
    pub completeness: Completeness,
    pub sensor: String,
    /// Of the sensor.
    pub version: String,
    pub host: String,
    /// When the archive was made.
    pub time: String,
    pub time_unix_ns: Exact,
    pub ledger: LedgerPart,
    /// Every file but this one, in the order of the archive.
    pub files: Vec<ExportedFile>,
}

/// A file of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedFile {
    /// Below the archive's folder.
    pub name: String,
    pub bytes: u64,
    /// Of its content, hex.
    pub sha256: String,
}

/// The part of a ledger that is in an archive: every entry from the run's first one to HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerPart {
    pub chain_uid: String,
    /// Public key that HEAD is signed with, hex.
    pub public_key: String,
    /// Number of the first entry.
    pub first_seq: u64,
    /// Number and fingerprint of the last one, which HEAD signs.
    pub head_seq: u64,
    pub head_fingerprint: String,
    /// Entries that name the run. 0: the ledger has none, and the part is its last entry.
    pub of_run: u64,
}
