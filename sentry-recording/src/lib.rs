//! What a run was judged by, so that it can be judged again: byte for byte the same.
//!
//! The core ([`sentry_detect::run::RunMachine`]) is a function of its inputs. Its events are in the
//! sensor's journal; all else that it is given goes onto a [`Tape`], of which the journal keeps
//! [`Part`]s. A [`Recording`] is one file with all of it, and with what was found and decided then;
//! [`replay()`] feeds a new machine with it.
//!
//! - [`Tape`]: inputs → parts, in the sensor. A reading in which nothing has changed is one byte.
//! - [`Encoder`], [`Recording`]: the file, written and read. Its format is described in `file`.
//! - [`replay()`], [`differences`]: what follows from it, and what of that was another then.
#![forbid(unsafe_code)]

mod error;

mod code;

mod columns;

mod step;

mod part;

mod tape;

mod unroll;

mod file;

mod replay;

mod compare;

pub use compare::differences;
pub use error::RecordingError;
pub use file::{Encoder, MOST_FILE_BYTES, Recording, life_of};
pub use part::{Packed, Part};
pub use replay::{Judged, Missing, Other, Replay, replay, replay_by};
pub use tape::{DUE_BYTES, MOST_BYTES, Tape, whole_ms};
