//! One hook family per file: gate, reserve, fill, submit. Each doc comment names hook, arguments and cost.

pub mod fork;

pub mod exec;

pub mod exit;

pub mod seed;

pub mod cgroup;

pub mod network;

pub mod packets;

pub mod socket_state;

pub mod socket_acts;

pub mod open;

pub mod names;

pub mod syscall;
