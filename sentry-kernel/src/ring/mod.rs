//! The consumer end of the rings: copies records, in the order of their times, into one queue per
//! run.

use crate::decode::Raw;

pub mod lanes;

pub mod reader;

/// Records, critical and bulk together, oldest first.
pub type Batch = Vec<Raw>;
