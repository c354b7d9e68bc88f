//! What a run costs in memory, measured: by an allocator that counts what this thread holds.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use sentry_baseline::{Kind, Observed, Windows};

const MOST_BYTES: isize = 32 * 1024;

struct Counting;

thread_local! {
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches only this thread's
// plain cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.set(HELD_BYTES.get() + layout.size() as isize);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD_BYTES.set(HELD_BYTES.get() - layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The id of an event, as long as they are.
const EVENT: &str = "0198c0de-0000-7000-8000-000000000001.18af3c5d2e1b0000-c-18446744073709551615";

#[test]
fn a_flood_of_names_stays_in_32_kib() {
    let before = HELD_BYTES.get();
    let mut run = Observed::default();
    let windows = Windows::new(10, 0, Default::default());
    for n in 0..5_000 {
        run.executed(&format!("/srv/{}/{n}", "long-directory-name/".repeat(10)), EVENT, n);
        for kind in Kind::ALL {
            run.used(kind, format_args!("{}{n:0>90}", kind.name()), EVENT, n);
        }
    }
    let held = HELD_BYTES.get() - before + (size_of::<Observed>() + size_of::<Windows>()) as isize;
    println!("{held} bytes");
    assert!(held <= MOST_BYTES, "{held} bytes");
    drop((run, windows));
}

#[test]
fn what_is_known_costs_no_allocation() {
    let mut run = Observed::default();
    let mut work = || {
        for n in 0..20 {
            for path in ["/usr/bin/make", "/usr/bin/cc", "/bin/sh"] {
                run.executed(path, EVENT, n);
            }
            run.used(
                Kind::Address,
                format_args!("{}:{}", std::net::Ipv4Addr::LOCALHOST, 8000 + n % 3),
                EVENT,
                n,
            );
            let path = ["/home/u/src/main.rs", "/usr/include/stdio.h"][n as usize % 2];
            run.touched(path, n % 3 == 0, EVENT, n);
        }
    };
    work();
    let before = ALLOCATIONS.get();
    work();
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
