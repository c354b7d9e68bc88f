//! Facts read from kernel structures, at the offsets of [`crate::offsets`].

pub mod clock;

mod memory;

pub mod cgroup;

pub mod file;

pub mod call;

pub mod packet;

pub mod path;

pub mod pid;

pub mod socket;

pub mod task;

pub mod unix;

pub mod user;

pub(crate) use memory::{copy, is_typed, read, read_behind, read_pointer, store};
