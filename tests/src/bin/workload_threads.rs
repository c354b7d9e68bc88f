//! `workload_threads COUNT DIR`: starts threads that wait until DIR/go is there; then each opens
//! DIR/NUMBER for writing, and the process ends. Its pid is in DIR/pid once all of them live.

use std::{
    fs::File,
    sync::{Arc, Barrier},
    time::Duration,
};

use sentry_tests::work::{Arguments, Deadline, Failure, announce};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let count: usize = args.number("COUNT")?;
    let dir = args.path("DIR")?;
    let born = Arc::new(Barrier::new(count + 1));
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let (born, dir) = (Arc::clone(&born), dir.clone());
            std::thread::spawn(move || {
                born.wait();
                while !dir.join("go").exists() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                File::create(dir.join(number.to_string())).map(drop)
            })
        })
        .collect();
    born.wait();
    announce(&dir.join("pid"), &std::process::id().to_string())?;
    for thread in threads {
        thread.join().map_err(|_panic| "a thread panicked")??;
    }
    Ok(())
}
