//! What sensors send: identity, shape and order are checked here, before anything reaches the store.

pub(crate) mod gate;

pub(crate) mod item;

pub(crate) mod dedupe;

pub(crate) mod registry;

pub(crate) mod session;

pub mod service;

pub(crate) mod listen;

pub(crate) mod reach;
