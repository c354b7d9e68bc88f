//! Baselines as a whole: merged, kept, poisoned, departed from.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod support;

use proptest::prelude::*;
use sentry_baseline::{
    Baseline, Cause, DecodeError, Drift, Kind, NO_BASELINE, Observed, RUN_SHARE, Rate, Version, Window,
};
use support::{BOUNDS, SECOND, closed, counts, learned, of, run, work};

fn merged<'a>(all: impl IntoIterator<Item = &'a Baseline>) -> Baseline {
    let mut all = all.into_iter();
    let mut sum = all.next().unwrap().clone();
    all.for_each(|more| sum.merge(more));
    sum
}

fn works() -> impl Strategy<Value = Baseline> {
    prop::collection::vec(work(), 0..4).prop_map(|works| of(&works))
}

proptest! {
    #[test]
    fn merged_in_any_order_and_grouping_it_is_the_same(a in works(), b in works(), c in works()) {
        let one = merged([&a, &b, &c]);
        prop_assert_eq!(&merged([&c, &a, &b]), &one);
        prop_assert_eq!(&merged([&b, &a, &c]), &one);
        prop_assert_eq!(&merged([&a, &merged([&b, &c])]), &one);
    }

    #[test]
    fn what_was_kept_is_read_again(baseline in works()) {
        prop_assert_eq!(Baseline::decode(&baseline.encode()).unwrap(), baseline);
    }

    #[test]
    fn any_bytes_are_a_baseline_or_an_error(
        baseline in works(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        tail in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let whole = baseline.encode();
        let mut changed = whole.clone();
        changed[at.index(whole.len())] ^= byte;
        prop_assert_eq!(Baseline::decode(&changed).is_ok(), byte == 0);
        prop_assert!(Baseline::decode(&whole[..at.index(whole.len())]).is_err());
        // With a checksum that fits.
        for body in [[b"ASBASE01", tail.as_slice()].concat(), [&changed[..at.index(whole.len())], &tail].concat()] {
            let sum = twox_hash::XxHash3_64::oneshot(&body).to_le_bytes();
            let _baseline_or_error = Baseline::decode(&[body, sum.to_vec()].concat());
        }
        let _baseline_or_error = Baseline::decode(&tail);
    }

    #[test]
    fn one_run_moves_no_bound_beyond_its_share(
        usual in 0_u64..100_000,
        windows in prop::collection::vec(prop_oneof![any::<u64>(), 0_u64..200_000], 0..100),
    ) {
        let mut baseline = learned(Rate::Execs, usual);
        let before = baseline.normal(Rate::Execs).bound;
        run(&mut baseline, windows.iter().map(|count| counts(Rate::Execs, *count)));
        let after = baseline.normal(Rate::Execs).bound;
        prop_assert!(after <= before * (1.0 + RUN_SHARE), "{before} to {after}");
    }

    #[test]
    fn a_window_with_more_of_anything_never_departs_less(
        baseline in works(),
        fewer in prop::array::uniform8(0_u64..100_000),
        which in 0..Rate::ALL.len(),
        more in 0_u64..100_000,
    ) {
        let mut greater = fewer;
        greater[which] += more;
        let score = |counts| baseline.deviation(&Window { counts, new: [0; 4], part: None }, &BOUNDS).score;
        prop_assert!(score(&greater) >= score(&fewer));
    }
}

fn deviation(baseline: &Baseline, rate: Rate, count: u64) -> sentry_baseline::Deviation {
    baseline.deviation(&Window { counts: &counts(rate, count), new: [0; 4], part: None }, &BOUNDS)
}

#[test]
fn without_a_baseline_each_window_scores_the_same_and_none_departs() {
    let mut baseline = Baseline::new("agent", 0);
    for _ in 0..2 {
        run(&mut baseline, vec![counts(Rate::Execs, 5); 15]);
    }
    let window = deviation(&baseline, Rate::Execs, 1_000_000);
    assert_eq!((window.score, window.is_known, window.departures.len()), (NO_BASELINE, false, 0));
    run(&mut baseline, vec![counts(Rate::Execs, 5)]);
    assert!(deviation(&baseline, Rate::Execs, 1_000_000).is_known);
}

#[test]
fn a_departure_shows_the_numbers_that_it_was_calculated_from() {
    let baseline = learned(Rate::Execs, 100);
    assert_eq!(deviation(&baseline, Rate::Execs, 102).score, 0.0);
    // The median 101 reads as 100, the 99th percentile 102 as 100: a spread of 50.
    let unusual = deviation(&baseline, Rate::Execs, 200);
    assert_eq!((unusual.score, unusual.departures[0].is_far()), (0.5, false));
    let far = deviation(&baseline, Rate::Execs, 250);
    assert_eq!((far.score, far.departures.len()), (0.8, 1));
    let departure = &far.departures[0];
    assert!(departure.is_far() && departure.cause == Cause::Rate(Rate::Execs));
    let terms: Vec<_> =
        departure.terms.iter().map(|term| (term.name.as_str(), term.value, term.limit)).collect();
    assert_eq!(
        terms,
        [
            ("windows learned", 60.0, None),
            ("runs learned", 3.0, None),
            ("execs in a window, mean", 100.95, None),
            ("execs in a window, median", 100.0, None),
            ("execs in a window, 99th percentile", 100.0, None),
            ("spread", 50.0, None),
            ("spreads beyond the median that are allowed", 3.0, None),
            ("execs in this window", 250.0, Some(250.0)),
        ]
    );
}

#[test]
fn a_burst_after_a_flat_first_hour_departs_and_the_work_of_one_that_mostly_waits_does_not() {
    // 0 in most windows: the deviations have no spread at all.
    let mut waits = Baseline::new("agent", 0);
    for _ in 0..3 {
        run(&mut waits, (0..120).map(|n| counts(Rate::Opens, if n % 20 == 0 { 5_000 } else { 0 })));
    }
    assert_eq!(deviation(&waits, Rate::Opens, 4_800).score, 0.0);
    assert_eq!(deviation(&waits, Rate::Opens, 8_000).score, 0.8);
    let flat = learned(Rate::Execs, 0);
    assert_eq!(deviation(&flat, Rate::Execs, 10).score, 0.0);
    assert_eq!(deviation(&flat, Rate::Execs, 1_000).score, 0.8);
}

#[test]
fn a_first_use_departs_until_first_uses_are_usual() {
    let mut baseline = learned(Rate::Execs, 5);
    let new = |baseline: &Baseline| {
        let window = Window { counts: &counts(Rate::Execs, 5), new: [1, 0, 0, 0], part: None };
        let deviation = baseline.deviation(&window, &BOUNDS);
        (deviation.score, deviation.departures[0].is_far())
    };
    assert_eq!(new(&baseline), (0.9, true));
    baseline.run_ended(Some([true, false, false, false]));
    assert_eq!(new(&baseline), (0.9 * 0.8, true));
    baseline.run_ended(Some([true, false, false, false]));
    assert!(!new(&baseline).1);
    // A cold start has the same score.
    assert_eq!(new(&Baseline::new("agent", 0)), (0.9, true));
}

#[test]
fn a_name_is_known_once_a_part_has_it() {
    let mut baseline = learned(Rate::Execs, 5);
    let mut observed = Observed::default();
    observed.used(Kind::Name, format_args!("api.example:443"), "e", 3);
    assert!(!baseline.knows(Kind::Name, "api.example:443"));
    let mut share = baseline.share(&BOUNDS, 0);
    baseline.absorb(&observed.take(true), None, &mut share, &BOUNDS, 0);
    assert!(
        baseline.knows(Kind::Name, "api.example:443") && !baseline.knows(Kind::Address, "api.example:443")
    );
}

#[test]
fn one_new_program_behind_many_known_places_is_new() {
    let mut baseline = learned(Rate::Execs, 5);
    let places = |observed: &mut Observed| {
        (0..20).for_each(|n| observed.used(Kind::Place, format_args!("read /srv/{n}"), "e", n));
    };
    let mut earlier = Observed::default();
    places(&mut earlier);
    let mut share = baseline.share(&BOUNDS, 0);
    baseline.absorb(&earlier.take(true), None, &mut share, &BOUNDS, 0);
    let mut run = Observed::default();
    places(&mut run);
    run.executed("/bin/new", "e", 20);
    let part = run.take(false);
    assert_eq!(baseline.new_of(&part), [1, 0, 0, 0]);
    assert_eq!(part.used(Kind::Executable).collect::<Vec<_>>(), [("/bin/new", 20)]);
}

#[test]
fn programs_in_another_order_are_unusual() {
    let mut baseline = learned(Rate::Execs, 20);
    let sequence = |names: &[&str]| {
        let mut observed = Observed::default();
        names.iter().cycle().take(40).for_each(|name| observed.executed(name, "e", 0));
        observed.take(true)
    };
    let mut share = baseline.share(&BOUNDS, 0);
    let usual = sequence(&["/a", "/b", "/c"]);
    baseline.absorb(&usual, None, &mut share, &BOUNDS, 0);
    let score = |part| {
        let counts = counts(Rate::Execs, 20);
        baseline.deviation(&Window { counts: &counts, new: [0; 4], part: Some(part) }, &BOUNDS).score
    };
    assert_eq!((score(&usual), score(&sequence(&["/a", "/c", "/b"]))), (0.0, 0.5));
}

#[test]
fn a_new_version_is_learned_anew_and_that_is_marked() {
    let version = |mark: &str| Version { path: "/bin/agent".into(), mark: mark.into() };
    let mut baseline = learned(Rate::Execs, 100);
    assert!(!baseline.begins(version("1"), 5), "it had no mark before");
    assert!(!baseline.begins(version("1"), 6) && !baseline.begins(version(""), 6));
    assert!(baseline.begins(version("2"), 7));
    let state = (baseline.retrainings, baseline.trained_since_unix_ns, baseline.runs, baseline.windows);
    assert_eq!(state, (1, 7, 0, 0));
    assert!(!baseline.is_known(&BOUNDS));
    let other = Version { path: "/bin/other".into(), mark: "3".into() };
    assert!(!baseline.begins(other, 8), "another program is no version of it");
}

#[test]
fn a_slow_ramp_moves_a_bound_by_its_share_and_each_step_is_unusual() {
    let mut baseline = learned(Rate::Execs, 100);
    for _ in 0..5 {
        let bound = baseline.normal(Rate::Execs).bound;
        // Just below what is found.
        let ramp = bound as u64 - 1;
        assert_eq!(deviation(&baseline, Rate::Execs, ramp).score, 0.5);
        run(&mut baseline, vec![counts(Rate::Execs, ramp); 10_000]);
        assert!(baseline.normal(Rate::Execs).bound <= bound * (1.0 + RUN_SHARE));
    }
    assert!(baseline.left_out > 40_000, "{}", baseline.left_out);
}

/// As much as there can be of everything.
fn largest() -> Baseline {
    let mut baseline = Baseline::new(&"a".repeat(128), u64::MAX);
    // As long as it is not known, everything counts.
    let never = sentry_baseline::Bounds { min_runs: u64::MAX, min_windows: u64::MAX };
    let mut share = baseline.share(&never, 0);
    for n in 0..40_u64 {
        let mut observed = Observed::default();
        for kind in Kind::ALL {
            (0..16).for_each(|m| {
                observed.used(kind, format_args!("{:0>96}", n * 16 + m), "e", u64::MAX / 2 + n);
            });
        }
        (0..60).for_each(|m| observed.executed(&format!("/{n}/{m}"), "e", u64::MAX / 2));
        let each = std::array::from_fn(|_| 1_u64 << (n % 37));
        for step in 0..16 {
            let counts = each.map(|count: u64| count + count / 16 * step);
            baseline.absorb(&observed.take(true), Some(&closed(counts, 1_000)), &mut share, &never, 0);
        }
    }
    baseline
}

#[test]
fn an_agent_has_room_in_256_kib() {
    let bytes = largest().encode();
    println!("{} bytes", bytes.len());
    assert!((100 << 10..=256 << 10).contains(&bytes.len()), "{} bytes", bytes.len());
    assert!(Baseline::decode(&bytes).is_ok());
}

#[test]
fn what_is_no_baseline_is_refused_by_what_it_is() {
    let whole = learned(Rate::Execs, 5).encode();
    let error = |bytes: &[u8]| Baseline::decode(bytes).unwrap_err();
    assert_eq!(error(b""), DecodeError::Foreign);
    assert_eq!(error(b"SQLite format 3"), DecodeError::Foreign);
    assert_eq!(error(&whole[..whole.len() - 1]), DecodeError::Torn);
    assert_eq!(error(&whole[..9]), DecodeError::Torn);
    assert_eq!(error(&[whole.clone(), vec![0; 256 << 10]].concat()), DecodeError::TooLong);
    let mut newer = [b"ASBASE02".as_slice(), &whole[8..whole.len() - 8]].concat();
    newer.extend(twox_hash::XxHash3_64::oneshot(&newer).to_le_bytes());
    assert_eq!(error(&newer), DecodeError::Newer { found: 2 });
}

/// The file that the first version writes, in hexadecimal digits: each later one reads it.
#[test]
fn the_first_format_is_read() {
    let mut baseline = Baseline::new("agent", 1_700_000_000 * SECOND);
    baseline.begins(Version { path: "/usr/bin/agent".into(), mark: "12.1".into() }, SECOND);
    for _ in 0..3 {
        run(&mut baseline, (0..10).map(|n| counts(Rate::Execs, n)));
    }
    let mut observed = Observed::default();
    observed.executed("/bin/sh", "e", 5);
    observed.executed("/bin/ls", "e", 6);
    observed.used(Kind::Name, format_args!("api.example:443"), "e", 7);
    let mut share = baseline.share(&BOUNDS, 0);
    baseline.absorb(&observed.take(true), None, &mut share, &BOUNDS, 0);
    baseline.standing.window(1_700_000_000 * SECOND, 0.5);
    let mut facts = sentry_baseline::RunFacts::default();
    facts.note(sentry_baseline::Posture::Root);
    baseline.standing.run(9, "run", facts);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-01.hex");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let digits: String = baseline.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let lines: Vec<&str> =
            digits.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let digits: String = std::fs::read_to_string(&path).unwrap().lines().collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    assert_eq!(Baseline::decode(&bytes).unwrap(), baseline);
    assert_eq!(baseline.encode(), bytes, "what is written has changed: is it a new format?");
}

#[test]
fn many_windows_that_each_depart_by_little_are_a_drift() {
    let baseline = learned(Rate::Execs, 100);
    // The median and one spread and a half: no single one departs.
    let each = counts(Rate::Execs, 175);
    assert_eq!(deviation(&baseline, Rate::Execs, 175).score, 0.0);
    let mut drift = Drift::default();
    drift.windows(baseline.distance(&each), 49);
    assert_eq!(baseline.drifted(&drift), None);
    drift.windows(baseline.distance(&each), 8);
    let departure = baseline.drifted(&drift).unwrap();
    assert!(departure.is_far() && departure.cause == Cause::Drift);
    let last = departure.terms.last().unwrap();
    assert_eq!((last.limit, last.value >= 50.0), (Some(50.0), true));
    let usual = (0..10_000).map(|n| counts(Rate::Execs, 100 + n % 3));
    let mut steady = Drift::default();
    usual.for_each(|counts| steady.windows(baseline.distance(&counts), 1));
    assert_eq!(steady, Drift::default());
}
