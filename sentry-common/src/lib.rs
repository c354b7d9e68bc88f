//! The contract between the BPF programs (`sentry-ebpf`) and the sensor (`sentry-kernel`).
//!
//! Only plain data may live here: `#[repr(C)]` structs of integers with explicit padding, and the
//! numbers that give them meaning. No `bool`, `enum`, `Option`, `usize` or reference crosses the
//! boundary, because any byte pattern must be a valid value on the reading side. Byte order is the
//! host's: records never leave it.
//!
//! With feature `user` every struct can be read from bytes and written as bytes without `unsafe`
//! (zerocopy).
#![forbid(unsafe_code)]
#![no_std]

pub mod abi;

pub mod fact;

pub mod counter;

pub mod fault;

pub mod family;

pub mod record;

pub mod table;

pub mod offset;

pub use fact::kind;
