//! `workload_spin THREADS FILE`: burns CPU and does nothing else. Its pid is in FILE.

use sentry_tests::work::{Arguments, Deadline, Failure, announce};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let threads: u32 = args.number("THREADS")?;
    announce(&args.path("FILE")?, &std::process::id().to_string())?;
    for _ in 1..threads {
        std::thread::spawn(spin);
    }
    spin()
}

fn spin() -> ! {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
