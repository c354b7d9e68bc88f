//! Why a recording is not read or written.

use std::io;

use sentry_proto::{
    block::{BlockError, PackError},
    convert::ConvertError,
};

/// What is wrong with a recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    #[error("it is no recording of a run; `sentry record RUN FILE` makes one")]
    Foreign,
    #[error("the recording has format {found}, this version reads {known}; use the newer sentry")]
    Format { found: u32, known: u32 },
    #[error("the recording ends too early: it was cut")]
    Cut,
    #[error("part {number} of the recording was changed: its checksum is wrong")]
    Checksum { number: usize },
    #[error("the recording is over a limit: {what}")]
    Limit { what: &'static str },
    #[error("the recording is not laid out as it says: {what}")]
    Layout { what: &'static str },
    #[error("a part of the recording does not decompress")]
    Compressed { source: io::Error },
    #[error("a step of the recording does not decode; was it made by a newer version?")]
    Step { source: serde_json::Error },
    #[error("an item of the recording does not decode")]
    Item { source: prost::DecodeError },
    #[error("events of the recording are damaged")]
    Block(#[from] BlockError),
    #[error("events of the recording cannot be packed")]
    Pack(#[from] PackError),
    #[error("an event of the recording says what no event can")]
    Event(#[from] ConvertError),
}
