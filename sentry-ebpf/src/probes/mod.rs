//! One hook family per file: gate, reserve, fill, submit. Each doc comment names hook, arguments
//! and cost.

pub mod fork;

pub mod exec;

pub mod exit;

pub mod outside;

pub mod seed;

pub mod cgroup;

pub mod select;

pub mod network;

pub mod packets;

pub mod socket_state;

pub mod socket_acts;

pub mod open;

pub mod names;

pub mod file_acts;

pub mod exec_failed;

pub mod syscall;

pub mod standing;

pub mod system;

pub mod target;

pub mod uring;
