//! Records → events: which run, which process, what time, in words a person can read.

pub mod seed;

pub mod process_table;

pub mod object;

pub mod event;

mod act;

pub mod payload;

mod service;

pub mod tls;
