//! Structs of the contract as keys and values of the kernel's tables.

use zerocopy::{FromBytes, IntoBytes};

/// A key or a value, as the loader takes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Row<T>(pub(super) T);

// SAFETY: what is `IntoBytes` has no padding, so every byte of it is initialised; what is
// `FromBytes` takes any byte pattern. The wrapper has the layout of what it wraps.
#[expect(unsafe_code, reason = "the loader's trait is unsafe to implement")]
unsafe impl<T: FromBytes + IntoBytes + Copy + 'static> aya::Pod for Row<T> {}
