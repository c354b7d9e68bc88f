//! The consumer end of the rings: copies records out, in batches, in the order in which they happened.

pub mod reader;

/// Records of one turn, critical and bulk together, oldest first.
pub type Batch = Vec<Box<[u8]>>;
