//! Everything that reads foreign bytes gets many of them, from mutated good inputs. The same
//! targets are in `fuzz/` for cargo-fuzz, which needs a nightly compiler; this runs everywhere and
//! finds the same inputs each time.
//!
//! `AGENTSENTRY_FUZZ=N` executes each target N times (`cargo xtask fuzz --executions N`),
//! `AGENTSENTRY_FUZZ_TARGETS=a,b` those alone, `AGENTSENTRY_FUZZ_SEED` starts elsewhere.

mod mutate;
mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use mutate::{Chance, corpus, mutate};

/// Executions of each target in the suite: together some 100,000.
const SUITE: u64 = 25_000;
/// An input is changed on from the last one so often before a good one is taken again.
const GENERATIONS: usize = 16;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let executions = setting("AGENTSENTRY_FUZZ", SUITE);
    let seed = setting("AGENTSENTRY_FUZZ_SEED", 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let inputs = corpus();
    // All, unless some are named.
    let named = std::env::var("AGENTSENTRY_FUZZ_TARGETS").unwrap_or_default();
    let known = |name: &str| targets::ALL.iter().any(|(target, _)| *target == name);
    let unknown = named.split(',').find(|name| !name.is_empty() && !known(name));
    assert_eq!(unknown, None, "there is no such target");
    for (name, target) in targets::ALL {
        if !named.is_empty() && !named.split(',').any(|wanted| wanted == name) {
            continue;
        }
        let started = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let inputs = &inputs;
                // What does not divide evenly goes to the first ones.
                let share = executions / threads + u64::from(thread < executions % threads);
                scope.spawn(move || run(name, target, inputs, share, seed + thread));
            }
        });
        let rate = executions as f64 / started.elapsed().as_secs_f64();
        println!("fuzz: {name}: {executions} executions by {threads} threads, {rate:.0} a second, no fault");
    }
}

#[expect(clippy::panic, reason = "a failed test may panic")]
fn run(name: &str, target: targets::Target, inputs: &[Vec<u8>], executions: u64, seed: u64) {
    let mut chance = Chance::new(seed);
    let mut input = Vec::new();
    for execution in 0..executions {
        if chance.below(GENERATIONS) == 0 {
            input.clone_from(&inputs[chance.below(inputs.len())]);
        }
        mutate(&mut input, &mut chance);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            panic!("{name}: execution {execution} of seed {seed} panicked on {input:02x?}");
        }
    }
}

#[test]
fn the_good_inputs_are_read() {
    let inputs = corpus();
    assert!(inputs.len() > 40, "{} inputs", inputs.len());
    let names = inputs.iter().filter_map(|input| sentry_agent::enrich::tls::server_name(input));
    assert_eq!(names.collect::<Vec<_>>(), [b"localhost"]);
}
