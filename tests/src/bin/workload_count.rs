//! `workload_count FILE`: writes a growing number to FILE until it is ended; whoever is frozen
//! stops counting. With `once` before FILE it writes its pid and waits.

use std::time::Duration;

use sentry_tests::work::{Arguments, Deadline, Failure, announce, wait_for_the_end};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let mut file = args.path("FILE")?;
    if file.as_os_str() == "once" {
        file = args.path("FILE")?;
        announce(&file, &std::process::id().to_string())?;
        wait_for_the_end();
    }
    let mut number = 0_u64;
    loop {
        number += 1;
        announce(&file, &number.to_string())?;
        std::thread::sleep(Duration::from_millis(5));
    }
}
