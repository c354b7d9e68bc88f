//! The core's one entry: feed events and readings of a run, get findings.
