//! One struct per record kind, each starting with [`crate::abi::RecordHeader`].

pub mod text;

pub mod process;

pub mod cgroup;

pub mod network;

pub mod file;

pub mod other;
