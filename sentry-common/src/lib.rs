//! The contract between the BPF programs (`sentry-ebpf`) and the sensor (`sentry-kernel`).
//!
//! Only plain data may live here: `#[repr(C)]` structs of integers with explicit padding, and the numbers that
//! give them meaning. No `bool`, `enum`, `Option`, `usize` or reference crosses the boundary, because any byte
//! pattern must be a valid value on the reading side. Byte order is the host's: records never leave it.
//!
//! With feature `user` every struct can be read from bytes without `unsafe` (zerocopy) and put into maps (aya).
#![no_std]

/// Implements what the user-space side needs for a shared struct. The layout is asserted beside each struct.
macro_rules! shared {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: `repr(C)`, integers and arrays of integers only, no implicit padding (zerocopy's derives on
        // the same type refuse padding), so every byte is initialised and every pattern is valid.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $type {}
    )+};
}

pub mod abi;

pub mod kind;

pub mod counter;

pub mod fault;

pub mod family;

pub mod record;

pub mod table;

pub mod offset;
