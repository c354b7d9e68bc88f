//! What agents do, well and badly, and what is found in it.

use sentry_detect::{
    aggregate::counters::Counters,
    detector::RunDetector,
    finding::Finding,
    rule::Settings,
    runaway::{Severity, Term},
};

use crate::support::{MS, START, Trace, at_ms, detector, feed, findings, settings};

fn found(trace: &Trace) -> Vec<Finding> {
    findings(Settings::default(), &trace.inputs)
}

fn rules(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.signal.rule.as_str()).collect()
}

/// `:(){ :|:& };:` — each of the living makes two and ends, until no more than `most` may live.
fn fork_bomb(trace: &mut Trace, most: u64, ticks: u64) {
    let mut alive = 1;
    for _ in 0..ticks {
        for _ in 0..5 {
            let parents = alive;
            for _ in 0..parents * 2 {
                if alive < most {
                    trace.fork();
                    alive += 1;
                }
            }
            if alive < most {
                (0..parents).for_each(|_| trace.exit());
                alive -= parents;
            }
        }
        trace.pass(100, 2.0);
    }
}

#[test]
fn a_fork_bomb_is_found_within_a_fraction_of_a_second() {
    let mut trace = Trace::new();
    fork_bomb(&mut trace, 4096, 10);
    let found = found(&trace);
    assert_eq!(rules(&found), ["spawn-storm"]);
    let finding = &found[0];
    assert!(at_ms(finding) <= 300, "found after {} ms", at_ms(finding));
    assert_eq!(finding.severity(), Severity::Critical);
    assert!(finding.signal.confidence >= 0.8);
    assert_eq!(finding.id, "0198c0de-0000-7000-8000-000000000001-f-1");
    assert_eq!(finding.tags, ["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"]);
    assert_eq!(finding.since_unix_ns, START);
    assert!(finding.complete && finding.evidence.len() == 32);
    assert!(finding.signal.arithmetic.iter().all(Term::holds));
}

#[test]
fn a_fork_bomb_under_a_process_limit_is_found() {
    let mut trace = Trace::new();
    fork_bomb(&mut trace, 100, 10);
    assert_eq!(rules(&found(&trace)), ["spawn-storm"]);
}

#[test]
fn a_fork_bomb_that_delays_the_readings_is_found() {
    let mut trace = Trace::new();
    trace.counters.processes_born += 5000;
    trace.pass(4000, 2.0);
    assert_eq!(rules(&found(&trace)), ["spawn-storm"]);
}

fn exec_loop(trace: &mut Trace, ticks: u64) {
    for _ in 0..ticks {
        for _ in 0..5 {
            trace.fail(&["/usr/bin/false"], 1);
        }
        trace.pass(100, 0.2);
    }
}

#[test]
fn an_exec_loop_is_found_once_and_again_where_it_had_stopped_for_the_cool_down() {
    let mut trace = Trace::new();
    exec_loop(&mut trace, 700);
    let quiet = |trace: &mut Trace, s: u64| (0..s * 10).for_each(|_| trace.pass(100, 0.01));
    quiet(&mut trace, 20);
    exec_loop(&mut trace, 30);
    quiet(&mut trace, 100);
    exec_loop(&mut trace, 30);
    let found = found(&trace);
    assert_eq!(rules(&found), ["exec-loop", "exec-loop"]);
    assert_eq!([at_ms(&found[0]), at_ms(&found[1])], [2000, 194_800]);
    assert_eq!(found[0].severity(), Severity::High);
    assert_eq!(found[0].signal.confidence, 1.0);
    assert!(found[0].evidence.iter().all(|id| id.contains("-c-")));
}

#[test]
fn a_fast_loop_that_ends_well_is_observed() {
    let mut trace = Trace::new();
    for _ in 0..40 {
        (0..5).for_each(|_| trace.spawn(&["/usr/bin/true"]));
        trace.pass(100, 0.2);
    }
    let found = found(&trace);
    assert_eq!(rules(&found), ["exec-loop"]);
    assert_eq!((found[0].severity(), found[0].signal.confidence), (Severity::Medium, 1.0));
}

/// One that goes on, a reading every 100 ms: `round` is done every `pause_ms`.
fn rounds(pause_ms: u64, count: u64, round: impl Fn(&mut Trace, u64)) -> Trace {
    let mut trace = Trace::new();
    trace.spawn(&["/usr/bin/python3", "agent.py"]);
    for n in 0..count {
        round(&mut trace, n);
        (0..pause_ms / 100).for_each(|_| trace.pass(100, 0.01));
    }
    trace
}

#[test]
fn the_same_failure_every_eight_seconds_is_found_once_and_grows_surer() {
    let trace = rounds(8_000, 400, |trace, _| trace.fail(&["/usr/bin/npm", "test"], 254));
    let all = found(&trace);
    assert_eq!(rules(&all), ["exec-loop", "exec-loop"]);
    assert_eq!([at_ms(&all[0]), at_ms(&all[1])], [9 * 8_000 + 100, 299 * 8_000 + 100]);
    let grades = [(Severity::Medium, 0.5), (Severity::High, 0.8)];
    assert_eq!([0, 1].map(|n| (all[n].severity(), all[n].signal.confidence)), grades);
    assert!(all[0].signal.summary.starts_with("`/usr/bin/npm test` failed 10 times in a row"));
    assert!(all[0].evidence.len() >= 20 && all[0].signal.arithmetic.iter().all(Term::holds));
    // Somebody who only observes hears of it once.
    let never = findings(settings(|limits| limits.exec_loop.failures_to_act = 1_000_000), &trace.inputs);
    assert_eq!(rules(&never), ["exec-loop"]);
}

#[test]
fn two_commands_in_turn_of_which_one_fails_are_found() {
    let trace = rounds(3_000, 12, |trace, _| {
        trace.spawn(&["/usr/bin/git", "status"]);
        trace.fail(&["/usr/bin/make", "deploy"], 2);
        trace.fork();
        trace.exit();
    });
    assert_eq!(rules(&found(&trace)), ["exec-loop"]);
}

#[test]
fn failures_that_differ_or_come_rarely_or_between_much_else_are_not_found() {
    let kinds: [fn(&mut Trace, u64); 4] = [
        |trace, n| trace.fail(&["/usr/bin/cc", &format!("unit{n}.c")], 1),
        |trace, n| trace.fail(&["/usr/bin/make"], [1, 2, 3, 4][n as usize % 4] + n as u32),
        |trace, n| {
            trace.fail(&["/usr/bin/cc", "conftest.c"], 1);
            (0..10).for_each(|m| trace.spawn(&["/usr/bin/cc", &format!("{n}-{m}.c")]));
        },
        |trace, _| trace.fail(&["/usr/bin/grep", "-q", "ready", "log"], 1),
    ];
    for (n, round) in kinds.into_iter().enumerate() {
        assert_eq!(rules(&found(&rounds(1_000, 40, round))), [""; 0], "{n}");
    }
    let rarely = rounds(61_000, 20, |trace, _| trace.fail(&["/usr/bin/make"], 2));
    assert_eq!(rules(&found(&rarely)), [""; 0]);
}

/// Subshells have the command line of their shell.
#[test]
fn a_fork_that_fails_is_no_command() {
    let trace = rounds(500, 60, |trace, _| {
        trace.fork();
        trace.exit_with(1, &["/bin/sh", "configure"]);
    });
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn an_edit_between_two_tests_is_work() {
    let edited = |by_agent: bool, read: bool| {
        let trace = rounds(4_000, 30, |trace, _| {
            if by_agent {
                trace.fork();
                trace.change("/home/dev/app/src/lib.rs");
            }
            trace.fork();
            trace.exec(&["/usr/bin/cargo", "test"]);
            if read {
                trace.open("/home/dev/app/src/lib.rs");
            }
            if !by_agent {
                trace.change("/home/dev/app/src/lib.rs");
            }
            trace.exit_with(101, &["/usr/bin/cargo", "test"]);
        });
        rules(&found(&trace)).len()
    };
    assert_eq!(edited(true, true), 0);
    assert_eq!(edited(true, false), 1, "nobody looks at it");
    assert_eq!(edited(false, true), 1, "the failing command writes it itself");
}

#[test]
fn a_storm_of_one_command_is_a_storm_alone() {
    let mut trace = Trace::new();
    for _ in 0..60 {
        for _ in 0..12 {
            trace.fork();
            trace.exec(&["/usr/bin/pgrep", "-P", "1"]);
        }
        trace.pass(100, 0.3);
    }
    assert_eq!(rules(&found(&trace)), ["spawn-storm"]);
}

#[test]
fn a_loop_over_three_commands_between_other_work_is_found() {
    let mut trace = Trace::new();
    for n in 0..25 {
        for _ in 0..3 {
            trace.spawn(&["/usr/bin/curl", "-s", "http://127.0.0.1:1/"]);
            trace.spawn(&["/usr/bin/sleep", "0.01"]);
            trace.spawn(&["/usr/bin/test", "-f", "/tmp/done"]);
        }
        trace.spawn(&["/usr/bin/cat", &format!("/tmp/{n}")]);
        trace.pass(100, 0.3);
    }
    assert_eq!(rules(&found(&trace)), ["exec-loop"]);
}

/// The window of the first finding has acts of before the spin.
#[test]
fn a_spin_that_was_first_uncertain_is_found_again_as_soon_as_it_is_to_be_acted_on() {
    let mut trace = Trace::new();
    for n in 0..17 {
        trace.open(&format!("/tmp/{n}"));
    }
    for _ in 0..80 {
        trace.pass(100, 2.0);
    }
    let once = found(&trace);
    assert_eq!((rules(&once), at_ms(&once[0])), (vec!["cpu-spin"], 3000), "it leads to no act");
    let found = findings(settings(|limits| limits.cpu_spin.leads_to_acts = true), &trace.inputs);
    assert_eq!(rules(&found), ["cpu-spin", "cpu-spin"]);
    let acts: Vec<bool> = found.iter().map(|finding| finding.signal.confidence >= 0.8).collect();
    assert_eq!((acts, at_ms(&found[0])), (vec![false, true], 3000));
    assert!(at_ms(&found[1]) < 7000, "found again after {} ms", at_ms(&found[1]));
}

/// Python's start: many modules opened; then nothing but CPU.
fn spinner(trace: &mut Trace, ticks: u64) {
    trace.spawn(&["/usr/bin/python3", "spin.py"]);
    for n in 0..200 {
        trace.open(&format!("/usr/lib/python3.11/module{n}.py"));
    }
    for tick in 0..ticks {
        trace.pass(100, [1.0, 0.97, 0.99][tick as usize % 3]);
    }
}

#[test]
fn a_spin_is_found_within_four_seconds() {
    let mut trace = Trace::new();
    spinner(&mut trace, 60);
    let found = found(&trace);
    assert_eq!(rules(&found), ["cpu-spin"]);
    assert!((3000..=4000).contains(&at_ms(&found[0])), "found after {} ms", at_ms(&found[0]));
    assert!(found[0].signal.confidence > 0.9);
    assert!(found[0].evidence.iter().any(|id| id.contains("-c-")), "the exec is shown");
    assert_eq!(found[0].tags, ["attack:T1496", "attack:T1496.001", "owasp-asi:ASI08"]);
}

#[test]
fn a_shorter_hold_finds_a_spin_sooner() {
    let mut trace = Trace::new();
    spinner(&mut trace, 30);
    let found = findings(settings(|limits| limits.cpu_spin.hold_ms = 2000), &trace.inputs);
    assert_eq!(rules(&found), ["cpu-spin"]);
    assert!(at_ms(&found[0]) <= 2700, "found after {} ms", at_ms(&found[0]));
}

#[test]
fn a_spin_in_an_agent_that_goes_on_working_a_little_is_found() {
    let mut trace = Trace::new();
    for tick in 0..60 {
        if tick % 5 == 0 {
            trace.connect([127, 0, 0, 1]);
            trace.open("/home/dev/.agent/session.jsonl");
        }
        trace.pass(100, 1.02);
    }
    assert_eq!(rules(&found(&trace)), ["cpu-spin"]);
}

#[test]
fn a_build_is_not_found() {
    let mut trace = Trace::new();
    // cargo build: bursts of rustc, each with its own command line and its own many files, all
    // cores busy.
    for tick in 0..300 {
        let burst = if tick % 20 < 10 { 10 } else { 1 };
        for n in 0..burst {
            trace.spawn(&["/usr/bin/rustc", "--crate-name", &format!("crate_{tick}_{n}")]);
        }
        for n in 0..40 {
            trace.open(&format!("/home/dev/.cargo/registry/src/{}/lib{n}.rs", tick / 3));
        }
        trace.pass(100, 1.95);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn make_with_eight_jobs_is_not_found() {
    let mut trace = Trace::new();
    // Eight jobs of a shell, a driver, a compiler and an assembler each; 24 processes more at the
    // widest.
    for tick in 0..200 {
        for job in 0..3 {
            let unit = format!("{tick}_{job}.c");
            (0..4).for_each(|_| trace.fork());
            trace.exec(&["/bin/sh", "-c", &format!("gcc -c {unit}")]);
            trace.exec(&["/usr/bin/gcc", "-c", &unit]);
            trace.exec(&["/usr/lib/gcc/cc1", "-quiet", &unit]);
            trace.exec(&["/usr/bin/as", "-o", &format!("/tmp/cc{tick}{job}.o")]);
            for header in 0..30 {
                trace.open(&format!("/usr/include/header{header}.h"));
            }
            trace.open(&unit);
            if tick >= 2 {
                (0..4).for_each(|_| trace.exit());
            }
        }
        trace.pass(100, 2.0);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn configure_is_not_found() {
    let mut trace = Trace::new();
    // Half of the commands are the same few over and over, at 80 execs/s.
    for tick in 0..200 {
        trace.spawn(&["/usr/bin/rm", "-f", "conftest.err", "conftest.o"]);
        trace.spawn(&["/usr/bin/cat", "confdefs.h", "-"]);
        trace.spawn(&["/usr/bin/gcc", "-c", "conftest.c"]);
        trace.spawn(&["/usr/bin/sed", "-e", "s/^ *+/+/"]);
        for n in 0..4 {
            trace.spawn(&["/usr/lib/gcc/cc1", "-o", &format!("/tmp/cc{tick}{n}.s")]);
        }
        (0..20).for_each(|n| trace.open(&format!("/usr/include/header{n}{}.h", tick % 9)));
        trace.pass(100, 1.5);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn an_install_of_packages_is_not_found() {
    let mut trace = Trace::new();
    for tick in 0..250 {
        for n in 0..30 {
            trace.open(&format!("/home/dev/app/node_modules/package{tick}/file{n}.js"));
        }
        trace.connect([10, 0, 0, (tick % 8) as u8]);
        // Install scripts come in bursts, half of them with the same words.
        if tick % 50 >= 40 {
            for n in 0..5 {
                trace.spawn(&["/bin/sh", "-c", "node-gyp rebuild"]);
                trace.spawn(&[
                    "/usr/bin/node",
                    &format!("/home/dev/app/node_modules/package{n}_{tick}/install.js"),
                ]);
            }
        }
        trace.pass(100, 1.3);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn an_idle_agent_is_not_found() {
    let mut trace = Trace::new();
    for tick in 0..1200 {
        if tick % 10 == 0 {
            trace.connect([127, 0, 0, 1]);
        }
        trace.pass(100, if tick % 10 == 0 { 0.9 } else { 0.01 });
    }
    let mut detector = detector(Settings::default());
    assert_eq!(feed(&mut detector, &trace.inputs), []);
}

#[test]
fn a_test_suite_in_one_burst_is_not_found() {
    let mut trace = Trace::new();
    for tick in 0..50 {
        if tick == 20 {
            (0..90).for_each(|_| trace.spawn(&["/usr/bin/git", "status"]));
        }
        trace.pass(100, 0.5);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn what_was_before_the_first_reading_does_not_count() {
    let mut detector = detector(Settings::default());
    let old = Counters { processes_born: 90_000, execs: 90_000, cpu_usec: 1 << 40, ..Counters::default() };
    for n in 0..100 {
        assert_eq!(detector.reading(START + n * 100 * MS, old), []);
    }
}

#[test]
fn lost_records_make_a_finding_incomplete() {
    let mut trace = Trace::new();
    trace.counters.lost_bulk = 1;
    spinner(&mut trace, 40);
    let found = found(&trace);
    assert_eq!(rules(&found), ["cpu-spin"]);
    assert!(!found[0].complete);
}

#[test]
fn acts_of_which_none_was_seen_are_taken_for_varied_ones() {
    let mut trace = Trace::new();
    for _ in 0..60 {
        trace.counters.opens += 50;
        trace.counters.lost_bulk += 50;
        trace.pass(100, 2.0);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

/// Of each `of` opens one is seen: the kernel leaves out the others.
fn opens_seen_in_part(
    trace: &mut Trace,
    ticks: u64,
    of: u64,
    seen_per_tick: u64,
    path: impl Fn(u64) -> String,
) {
    for tick in 0..ticks {
        for n in 0..seen_per_tick {
            trace.open(&path(tick * seen_per_tick + n));
        }
        trace.counters.opens += (of - 1) * seen_per_tick;
        trace.counters.lost_bulk += (of - 1) * seen_per_tick;
        trace.pass(100, 1.0);
    }
}

#[test]
fn a_flood_of_one_call_is_found_for_itself_and_does_not_hide_a_spin() {
    let mut trace = Trace::new();
    // 170,000 opens of one file in a second, of which 500 are seen.
    opens_seen_in_part(&mut trace, 40, 340, 50, |_| "/etc/passwd".to_owned());
    let found = found(&trace);
    assert_eq!(rules(&found), ["call-flood", "cpu-spin"]);
    assert_eq!([at_ms(&found[0]), at_ms(&found[1])], [3000, 3000]);
    assert_eq!((found[0].severity(), found[0].signal.confidence), (Severity::High, 1.0));
    assert!(!found[0].complete && found[0].evidence.len() == 16);
    assert_eq!(found[0].tags, ["attack:T1499", "owasp-asi:ASI08"]);
    assert!(found[1].signal.confidence > 0.99);
}

#[test]
fn a_search_of_which_little_is_seen_is_not_found() {
    let mut trace = Trace::new();
    // 170,000 opens in a second, each of another file.
    opens_seen_in_part(&mut trace, 60, 340, 50, |n| format!("/usr/share/doc/{n}/copyright"));
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn work_that_changes_things_is_not_drowned_by_what_it_looks_at() {
    let mut trace = Trace::new();
    for tick in 0..60 {
        // Asks for its configuration all the time, and writes thirty files a second.
        (0..300).for_each(|_| trace.open("/home/dev/.config/tool.toml"));
        for n in 0..3 {
            trace.create(&format!("/home/dev/out/{tick}-{n}.o"));
        }
        trace.pass(100, 2.0);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn a_compressor_is_not_found() {
    let mut trace = Trace::new();
    trace.spawn(&["/usr/bin/xz", "archive.tar"]);
    trace.open("/home/dev/archive.tar");
    trace.create("/home/dev/archive.tar.xz");
    for _ in 0..80 {
        // 2.5 MiB/s in, 0.5 out.
        trace.counters.moved_bytes += 300 << 10;
        trace.pass(100, 1.0);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn who_mostly_waits_for_a_processor_is_not_found() {
    let mut trace = Trace::new();
    trace.spawn(&["/usr/bin/python3", "fibonacci.py"]);
    for _ in 0..120 {
        // At nice 10 beside two that spin.
        trace.counters.cpu_wait_usec += 95_000;
        trace.pass(100, 0.2);
    }
    assert_eq!(rules(&found(&trace)), [""; 0]);
}

#[test]
fn after_an_act_only_what_follows_counts() {
    let mut detector = detector(settings(|limits| limits.cpu_spin.hold_ms = 2000));
    let spin = |detector: &mut RunDetector, from_ms: u64| {
        let mut times = Vec::new();
        for tick in 1..=30 {
            let ms = from_ms + tick * 100;
            let counters = Counters { cpu_usec: ms * 1000, ..Counters::default() };
            times.extend(detector.reading(START + ms * MS, counters).iter().map(at_ms));
        }
        times
    };
    assert_eq!(spin(&mut detector, 0), [2100]);
    detector.acted();
    // A new origin, the whole hold time again, and no cool-down.
    assert_eq!(spin(&mut detector, 3000), [5100]);
}

#[test]
fn a_finding_that_nobody_can_take_comes_as_soon_as_somebody_can() {
    let mut detector = detector(settings(|limits| limits.cpu_spin.hold_ms = 2000));
    let mut at = Vec::new();
    for tick in 0..40 {
        let counters = Counters { cpu_usec: tick * 100_000, ..Counters::default() };
        if (18..22).contains(&tick) {
            assert!(detector.record(START + tick * 100 * MS, counters));
            continue;
        }
        at.extend(detector.reading(START + tick * 100 * MS, counters).iter().map(|_| tick));
    }
    assert_eq!(at, [22], "the first reading that it can be taken at, then the cool-down");
}
