//! What the store knows of a feed, and how far the items of a stream are durable.

use crate::feed::reach::{Leap, Reach};

/// A feed, that is one epoch of one sensor, by its row numbers.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) sensor: i64,
    pub(crate) feed: i64,
    pub(crate) session: i64,
    /// Everything up to this position is stored.
    pub(crate) acked: u64,
    /// The position of the sensor.
    pub(crate) reach: Reach,
}

/// Why the store refuses a proven sensor.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error(
        "sensor {sensor:?} has proven itself by {known} so far and does by {way} now: if that is \
         meant, stop the collector, run `sentry-collector feed-reset {sensor}` and start it again"
    )]
    Way { sensor: String, known: String, way: &'static str },
    #[error(
        "this socket speaks for sensor {holder:?}, which said hello first, not for {claimed:?}: \
         set `feed_sensor` to {claimed} in the collector's configuration if the sensor was renamed, or use \
         one listener per sensor"
    )]
    Holder { holder: String, claimed: String },
    #[error(transparent)]
    Leap(#[from] Leap),
}

/// How far a stream's items are durable.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) acked: u64,
    pub(crate) refused: Option<Hole>,
}

/// Positions that never came.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "hole in the epoch: expected position {expected}, got {got}; resume at {expected} or send a gap for what \
    is gone"
)]
pub(crate) struct Hole {
    pub(crate) expected: u64,
    pub(crate) got: u64,
}
