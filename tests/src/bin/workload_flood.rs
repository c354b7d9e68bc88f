//! `workload_flood DIR COUNT PAUSE_US`: opens a file in DIR for writing, COUNT times (0: until
//! DIR/stop is there), with a pause after each. Prints how often. Where COUNT ends with `+` it then
//! writes the number to DIR/done and waits.

use std::{fs::File, time::Duration};

use sentry_tests::work::{Arguments, Deadline, Failure, announce, wait_for_the_end};

/// Different files.
const FILES: u64 = 50;

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let dir = args.path("DIR")?;
    let (count, pause): (String, u64) = (args.text("COUNT")?, args.number("PAUSE_US")?);
    let stays = count.ends_with('+');
    let count: u64 = count.trim_end_matches('+').parse()?;
    let stop = dir.join("stop");
    let mut opened = 0;
    while if count == 0 { !stop.exists() } else { opened < count } {
        drop(File::create(dir.join(format!("f{}", opened % FILES)))?);
        opened += 1;
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
    }
    if stays {
        announce(&dir.join("done"), &opened.to_string())?;
        wait_for_the_end();
    }
    println!("{opened}");
    Ok(())
}
