//! The BPF programs. Each module uses those above it: kernel facts → who acts → gate → record →
//! emit. `probes` has one file per hook family; `bin/*` only attaches them, one object per
//! capability.
//!
//! `probes` read kernel memory through `kernel` and write to the rings through `emit`; their own
//! `unsafe` is only for maps.
#![no_std]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "atomics that give the old value: see `count`")]

pub mod maps;

pub mod offsets;

pub mod kernel;

pub mod subject;

pub mod count;

pub mod gate;

mod record;

mod share;

pub mod emit;

pub mod probes;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
