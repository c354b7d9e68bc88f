//! Files that a run executed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Ocsf;

/// An executed file: the image of a process, or the script that it was the interpreter of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Executed {
    /// As the kernel named it.
    pub path: Option<String>,
    /// 64 hex digits, of the content that is proven to be what was executed.
    pub sha256: Option<String>,
    /// Why there is no digest; null where there is one.
    pub unknown: Option<Unknown>,
    pub executions: u64,
    /// An OCSF File, with `hashes` and `size` where the digest is known.
    pub file: Ocsf,
    /// What OCSF has no attribute for: `file` with device, inode and mode.
    pub unmapped: Ocsf,
}

/// Why an executed file has no digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// No reason is given.
    #[default]
    Unspecified,
    /// The process had ended, and its name names no file any more.
    Gone,
    /// It was changed after it was executed, or so shortly before that its times do not show it.
    Changed,
    /// Its file system does not record when a file was changed.
    FileSystem,
    TooLarge,
    /// It cannot be read, or its file system does not answer.
    Unreadable,
    /// Only its name is known, and that may name another file by now.
    NoObject,
    /// Its process may have executed something else since.
    Unconfirmed,
}
