//! Where the journal goes beside the collector's stream: one file a sink.

pub mod file;
