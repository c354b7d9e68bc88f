//! Where sensors connect: identity, shape and order are checked here, before anything reaches the
//! store.

pub mod address;

pub(crate) mod peer;

pub(crate) mod gate;

pub(crate) mod listen;

pub(crate) mod registry;

pub(crate) mod session;

pub mod service;
