//! The consumer end of the rings: copies records out, in the order in which they happened, into a
//! queue for each run.

use crate::decode::Raw;

pub mod lanes;

pub mod reader;

pub mod stats;

/// Records, critical and bulk together, oldest first.
pub type Batch = Vec<Raw>;
