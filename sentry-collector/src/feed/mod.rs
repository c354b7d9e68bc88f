//! Checked input from sensors: items at positions, and their senders. No I/O.

pub(crate) mod kind;

pub(crate) mod dedupe;

pub(crate) mod reach;

pub(crate) mod way;

mod check;

pub(crate) mod block;

pub(crate) mod item;
