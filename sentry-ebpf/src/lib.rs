//! Kernel side. A module uses those above it: kernel facts → who acts → gate → record → emit;
//! `probes` holds one hook family per file, `bin/*` only attaches them, one object per capability.
//!
//! Kernel memory arrives in `probes` through `kernel`, the rings through `emit`; unsafe there is
//! for maps of their own.
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
