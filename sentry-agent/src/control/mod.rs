//! The local control socket: who may speak, what they may ask, and the answers.

pub mod callers;

mod refusal;

mod listing;

pub mod peer;

pub mod pump;

mod proof;

mod record;

mod find;

pub mod report;

pub mod service;

pub mod socket;
