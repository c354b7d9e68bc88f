//! The same few command lines are executed again and again: `exec-loop`.
//!
//! Two shapes of one thing, so one rule and one finding:
//!
//! - *Fast*: at a high rate over the hold time and in each half of it, most executions are of the
//!   same few command lines. A build executes many programs too, but each with a command line of
//!   its own. Where more than half of what repeats ends well (`true` in a shell's loop, a test
//!   suite that asks `git` a hundred times) it is of severity medium, and observed; otherwise high.
//! - *Slow*: the same command line fails the same way (equal exit code or signal), again and again
//!   without a longer pause, and with no more than a few other commands in between, so that `A, B,
//!   A, B` counts, too. It starts anew when a file is changed and then read by a process that was
//!   born later, and was not changed by the failing command itself: a test that fails between two
//!   edits is work. Of severity medium until it has failed so often that it is to be acted on; its
//!   confidence grows up to there.
//!
//! An exit code of 1 of programs that answer *no* by it (`test`, `grep`, `diff`; `ANSWERS`) is no
//! failure, and neither is an end by SIGPIPE.
//!
//! Limits: what a command wrote to its standard output is no fact, so that a failure whose output
//! changes and whose input does not counts as equal. A command that fails before it is executed has
//! none. Waiting for a server (`until curl …; do sleep 1; done`) is a finding after ten tries.
//! Where records of files are lost, an edit may be missed; the finding says that its record is not
//! whole.
//!
//! Memory is fixed: 48 command lines with their counts, 48 processes, 8 failures, 16 changed files;
//! about 8 KiB.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    act::FileAct,
    aggregate::{
        changes::Changes,
        commands::{Commands, Repetition},
        failures::{BETWEEN, End, Failure, Failures},
        lives::Lives,
        window::Window,
    },
    event::{EventKind, Process},
    evidence::Show,
    fingerprint::Fingerprint,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const EXEC_LOOP: RuleId = RuleId::new("exec-loop");
/// Endpoint Denial of Service.
const TAGS: &[&str] = &["attack:T1499", "owasp-asi:ASI08"];

/// Fewest execs seen as events that a repeated share is taken of.
const FEWEST_SEEN: f64 = 20.0;
/// Share of what repeats that ends well, above which it is only observed.
const WELL: f64 = 0.5;
/// Confidence of a slow loop just at its limit, and how much more it has when it is to be acted on.
const SLOW_BASE: f64 = 0.5;
const SLOW_GAIN: f64 = 0.3;
const SIGPIPE: u32 = 13;
/// Programs that answer *no* by exit code 1.
const ANSWERS: &[&str] = &[
    "[",
    "cmp",
    "diff",
    "egrep",
    "expr",
    "fgrep",
    "grep",
    "mountpoint",
    "pgrep",
    "pidof",
    "pkill",
    "rg",
    "test",
    "which",
];

limits! {
    /// When executions are a loop.
    Limits, "exec_loop_" {
        /// `exec-loop`: execs are counted over this time
        hold_ms: u64 = 2_000 in 500.0..=30_000.0;
        /// so many per second, over all of it and in each half
        execs_per_s: f64 = 40.0 in 1.0..=1e6;
        /// and this share of them one of the four most frequent command lines
        repeated_share: f64 = 0.8 in 0.1..=1.0;
        /// or, at any rate, so many equal failures of one command line in a row, over at least the
        /// same time
        failures: u64 = 10 in 3.0..=1e6;
        /// with no longer pause between two of them
        pause_ms: u64 = 60_000 in 1_000.0..=3_600_000.0;
        /// so many equal failures are of severity high, and sure: they lead to acts
        failures_to_act: u64 = 300 in 3.0..=1e9;
    }
}

pub(crate) struct ExecLoop {
    commands: Commands,
    lives: Lives,
    failures: Failures,
    changes: Changes,
}

impl Rule for ExecLoop {
    type Limits = Limits;
    const ABOUT: About = About {
        id: EXEC_LOOP,
        when: "the same few command lines are executed again and again, at a high rate, or at any rate where \
               they fail the same way each time",
        severity: "high; medium, and no act, where most of them end well, and for slow failures until they \
                   are many",
        urgency: Urgency::Grows,
    };
    /// One loop is one finding.
    const FOLDS: bool = true;
    /// A storm of processes that execute the same is a storm.
    const COVERED_BY: Option<RuleId> = Some(RuleId::new("spawn-storm"));

    fn new(limits: &Limits, now_unix_ns: u64) -> Self {
        Self {
            commands: Commands::new(ns(limits.hold_ms), now_unix_ns),
            lives: Lives::new(),
            failures: Failures::new(ns(limits.pause_ms), now_unix_ns),
            changes: Changes::new(),
        }
    }

    fn looks_back_ms(limits: &Limits) -> u64 {
        limits.hold_ms
    }

    fn leads_to_acts(_limits: &Limits) -> bool {
        true
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if (before.hold_ms, before.pause_ms) != (limits.hold_ms, limits.pause_ms) {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let process = &seen.event.process;
        self.changes.lives(process.key);
        match &seen.event.kind {
            EventKind::Exec { .. } => {
                if let Some(command) = seen.command {
                    self.commands.add(command);
                    self.lives.executes(process.key, command);
                }
            }
            EventKind::Exit { code, signal } => self.ends(process, *code, *signal),
            EventKind::File { act: FileAct::CloseWritten, file: Some(file), .. } => {
                self.changes(seen, &file.path.text);
            }
            EventKind::Rename { new_path, .. } => self.changes(seen, &new_path.text),
            EventKind::Open { file, intent, .. } if !intent.write && self.failures.is_suspicious() => {
                if self.changes.is_read_by(path(seen, &file.path.text), process.key) {
                    self.failures.changed();
                }
            }
            _ => {}
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.commands.advance(now_unix_ns);
        self.failures.advance(now_unix_ns);
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let slow = self.failures.most().and_then(|most| Some((slow(most, limits)?, most.first_unix_ns)));
        // The fast one says more where both hold, unless only the slow one is to be acted on.
        let both = self.fast(past, limits).into_iter().chain(slow);
        let (signal, since_unix_ns) = both.rev().max_by_key(|(signal, _)| signal.severity)?;
        Some(Verdict { signal, since_unix_ns, shown: Shown::Newest(Show::Processes), tags: TAGS })
    }

    fn clear(&mut self) {
        self.commands.clear();
        self.lives.clear();
        self.failures.clear();
        self.changes.clear();
    }
}

impl ExecLoop {
    /// With when it began.
    fn fast(&self, past: &Past, limits: &Limits) -> Option<(RunawaySignal, u64)> {
        let window = past.readings.covering(ns(limits.hold_ms))?;
        // Most readings end here, before the counts are added up.
        if window.per_second(window.added.execs) < limits.execs_per_s {
            return None;
        }
        let newer = past.readings.covering(ns(limits.hold_ms) / 2)?;
        let signal = fast(&Facts { window, newer, repetition: self.commands.repetition() }, limits)?;
        Some((signal, window.start_unix_ns))
    }

    fn ends(&mut self, process: &Process, code: Option<u32>, signal: Option<u32>) {
        let Some(life) = self.lives.ends(process.key) else { return };
        let Some(end) = failed(process, code, signal) else {
            self.failures.succeeded();
            self.commands.succeeded(life.last);
            if life.first != life.last {
                self.commands.succeeded(life.first);
            }
            return;
        };
        let what = Fingerprint::seeded(life.last).number(end.number()).finish();
        self.failures.failed(life.last, what, end, process);
    }

    /// A file was changed, and not by the command that fails.
    fn changes(&mut self, seen: &Seen<'_>, text: &str) {
        if !self.failures.is_suspicious() {
            return;
        }
        let life = self.lives.of(seen.event.process.key);
        if life.is_none_or(|life| !self.failures.has(life.last)) {
            self.changes.changed(path(seen, text));
        }
    }
}

fn path(seen: &Seen<'_>, text: &str) -> u64 {
    Fingerprint::seeded(seen.seed).bytes(text.as_bytes()).finish()
}

/// How a command failed, if it did.
fn failed(process: &Process, code: Option<u32>, signal: Option<u32>) -> Option<End> {
    let program = process.executable.as_ref().and_then(|file| file.path.text.rsplit('/').next());
    match (code, signal) {
        (_, Some(SIGPIPE)) | (None | Some(0), None) => None,
        (_, Some(signal)) => Some(End::Signal(signal)),
        (Some(1), None) if program.is_some_and(|program| ANSWERS.contains(&program)) => None,
        (Some(code), None) => Some(End::Code(code)),
    }
}

/// What a fast loop is judged by.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Covers the hold time.
    window: Window,
    /// Covers the newer half of it.
    newer: Window,
    /// Execs seen as events over about the same time.
    repetition: Repetition,
}

fn fast(facts: &Facts, limits: &Limits) -> Option<RunawaySignal> {
    let Facts { window, newer, repetition } = facts;
    let execs = window.added.execs;
    let older_s = (window.seconds() - newer.seconds()).max(1e-9);
    let rate = window.per_second(execs);
    let newer_rate = newer.per_second(newer.added.execs);
    let older_rate = execs.saturating_sub(newer.added.execs) as f64 / older_s;
    let seen = repetition.seen as f64;
    let share = repetition.repeated as f64 / seen.max(1.0);
    // What ended just now may have begun before the slices that are left.
    let well = (repetition.succeeded as f64 / repetition.repeated.max(1) as f64).min(1.0);
    // Execs whose command line was lost say nothing about repetition.
    let coverage = (seen / execs.max(1) as f64).min(1.0);
    let confidence = share * coverage;
    let rate_limit = limits.execs_per_s;
    let arithmetic = vec![
        Term::limited("window", window.seconds(), "s", limits.hold_ms as f64 / 1e3),
        Term::given("execs", execs as f64, ""),
        Term::limited("exec rate", rate, "1/s", rate_limit),
        Term::given("newer half", newer.seconds(), "s"),
        Term::given("execs in the newer half", newer.added.execs as f64, ""),
        Term::limited("exec rate of the newer half", newer_rate, "1/s", rate_limit),
        Term::limited("exec rate of the older half", older_rate, "1/s", rate_limit),
        Term::given("processes born", window.added.processes_born as f64, ""),
        Term::given("processes ended", window.added.processes_ended as f64, ""),
        Term::limited("execs seen with their command line", seen, "", FEWEST_SEEN),
        Term::given("of the 4 most frequent command lines", repetition.repeated as f64, ""),
        Term::limited("repeated share", share, "ratio", limits.repeated_share),
        Term::given("share of these that ended well", well, "ratio"),
        Term::given("share above which it is only observed", WELL, "ratio"),
        Term::given("share of execs seen", coverage, "ratio"),
        Term::given("confidence", confidence, ""),
    ];
    let (severity, ends) = if well > WELL {
        (Severity::Medium, format!("; {:.0} % of these ended well, so it is only observed", well * 100.0))
    } else {
        (Severity::High, String::new())
    };
    let summary = format!(
        "{execs} programs were started in {:.1} s ({rate:.0}/s, limit {rate_limit:.0}/s), {:.0} % of them \
        with one of the 4 most frequent command lines (limit {:.0} %){ends}.",
        window.seconds(),
        share * 100.0,
        limits.repeated_share * 100.0,
    );
    RunawaySignal { rule: EXEC_LOOP, confidence, severity, summary, arithmetic }.when_held()
}

fn slow(failure: &Failure, limits: &Limits) -> Option<RunawaySignal> {
    let Failure { end, times, first_unix_ns, last_unix_ns, text, .. } = failure;
    // Most readings end here, before anything is written out.
    if *times < limits.failures {
        return None;
    }
    let lasting_s = last_unix_ns.saturating_sub(*first_unix_ns) as f64 / 1e9;
    let (count, limit) = (*times as f64, limits.failures as f64);
    let to_act = limits.failures_to_act.max(limits.failures) as f64;
    // At the limit 0.0, where it is to be acted on 1.0.
    let grown = if to_act > limit { (count / limit).ln() / (to_act / limit).ln() } else { 1.0 };
    let confidence = (SLOW_BASE + SLOW_GAIN * grown).min(1.0);
    let arithmetic = vec![
        Term::limited("equal failures in a row", count, "", limit),
        Term::limited("time since the first", lasting_s, "s", limits.hold_ms as f64 / 1e3),
        Term::given("longest pause that may be between them", limits.pause_ms as f64 / 1e3, "s"),
        Term::given("other commands that may end between them", BETWEEN as f64, ""),
        Term::given("failures from which it leads to acts", to_act, ""),
        Term::given("confidence at the limit", SLOW_BASE, ""),
        Term::given("confidence gained up to there", SLOW_GAIN, ""),
        Term::given("confidence", confidence, ""),
    ];
    let severity = if count >= to_act { Severity::High } else { Severity::Medium };
    let summary = format!(
        "`{text}` failed {times} times in a row, each time with {end}, over {lasting_s:.0} s, and nothing that \
        is read was changed in between (limit {limit:.0} times)."
    );
    RunawaySignal { rule: EXEC_LOOP, confidence, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::counters::Counters;

    fn window(ms: u64, processes_born: u64, processes_ended: u64, execs: u64) -> Window {
        let added = Counters { processes_born, processes_ended, execs, ..Counters::default() };
        Window { start_unix_ns: 7, end_unix_ns: 7 + ms * 1_000_000, added }
    }

    fn exec_loop(per_s: u64, repeated: u64, seen: u64) -> Option<RunawaySignal> {
        let (window, newer) = (window(2000, 0, 0, per_s * 2), window(1000, 0, 0, per_s));
        let facts = Facts { window, newer, repetition: Repetition { seen, repeated, succeeded: 0 } };
        fast(&facts, &Limits::default())
    }

    fn value(signal: &RunawaySignal, name: &str) -> f64 {
        signal.arithmetic.iter().find(|term| term.name == name).unwrap().value
    }

    #[test]
    fn an_exec_loop_needs_rate_and_repetition() {
        assert_eq!(exec_loop(50, 100, 100).unwrap().confidence, 1.0);
        assert_eq!(exec_loop(39, 78, 78), None);
        assert_eq!(exec_loop(100, 100, 200), None);
        assert_eq!(exec_loop(100, 19, 19), None, "too few seen");
        assert_eq!(exec_loop(100, 100, 100).unwrap().confidence, 0.5, "half were lost");
    }

    #[test]
    fn a_burst_in_one_half_is_no_loop() {
        let facts = |newer| Facts {
            window: window(2000, 0, 0, 200),
            newer: window(1000, 0, 0, newer),
            repetition: Repetition { seen: 200, repeated: 200, succeeded: 0 },
        };
        assert!(fast(&facts(100), &Limits::default()).is_some());
        assert_eq!(fast(&facts(200), &Limits::default()), None);
        assert_eq!(fast(&facts(10), &Limits::default()), None);
    }

    /// `times` failures in a row, one each second.
    fn failing(times: u64) -> Option<RunawaySignal> {
        let mut failures = Failures::new(2_000_000_000, 0);
        let process = process_of_grep();
        for second in 0..times {
            failures.failed(1, 2, End::Code(7), &process);
            failures.advance((second + 1) * 1_000_000_000);
        }
        slow(failures.most().unwrap(), &Limits::default())
    }

    fn process_of_grep() -> Process {
        let file = |text: &str| crate::event::File {
            path: crate::event::Path {
                text: text.to_owned(),
                source: crate::event::PathSource::Kernel,
                truncated: false,
            },
            key: None,
        };
        Process {
            key: crate::identity::ProcessKey { tgid: 7, start_boot_ns: 1 },
            tid: 7,
            parent: None,
            executable: Some(file("/usr/bin/grep")),
            argv: None,
            cwd: None,
            uid: None,
            gid: None,
            euid: None,
            pre_existing: false,
        }
    }

    #[test]
    fn slow_failures_grow_surer_until_they_are_acted_on() {
        assert_eq!(failing(9), None);
        let of = |times| failing(times).map(|signal| (signal.severity, signal.confidence));
        assert_eq!(of(10), Some((Severity::Medium, 0.5)));
        assert_eq!(of(300), Some((Severity::High, 0.8)));
        assert!(of(299).unwrap().1 < 0.8 && of(100_000).unwrap().1 == 1.0);
        assert_eq!(
            failing(12).unwrap().summary,
            "`/usr/bin/grep` failed 12 times in a row, each time with exit code 7, over 11 s, and nothing that \
            is read was changed in between (limit 10 times).",
        );
    }

    #[test]
    fn an_answer_and_a_closed_pipe_are_no_failures() {
        let grep = process_of_grep();
        let of = |code, signal| failed(&grep, code, signal);
        assert_eq!([of(Some(0), None), of(Some(1), None), of(None, Some(13)), of(None, None)], [None; 4]);
        assert_eq!([of(Some(2), None), of(None, Some(9))], [Some(End::Code(2)), Some(End::Signal(9))]);
        assert_eq!(failed(&Process { executable: None, ..grep }, Some(1), None), Some(End::Code(1)));
    }

    #[test]
    fn a_fast_loop_that_mostly_ends_well_is_only_observed() {
        let of = |succeeded| {
            let (window, newer) = (window(2000, 0, 0, 100), window(1000, 0, 0, 50));
            let repetition = Repetition { seen: 100, repeated: 100, succeeded };
            fast(&Facts { window, newer, repetition }, &Limits::default()).unwrap().severity
        };
        assert_eq!(
            [of(0), of(50), of(51), of(100)],
            [Severity::High, Severity::High, Severity::Medium, Severity::Medium]
        );
    }

    proptest! {
        #[test]
        fn more_failures_never_end_a_slow_loop(times in 3..2_000u64) {
            if let Some(signal) = failing(times) {
                let more = failing(times + 1).unwrap();
                prop_assert!(more.confidence >= signal.confidence && more.severity >= signal.severity);
                prop_assert!(more.arithmetic.iter().all(Term::holds));
            }
        }

        #[test]
        fn a_higher_share_never_ends_a_loop(
            per_s in 1..500u64,
            seen in 1..1_000u64,
            a in 0..1_000u64,
            b in 0..1_000u64,
        ) {
            let (low, high) = (a.min(b).min(seen), a.max(b).min(seen));
            if let Some(signal) = exec_loop(per_s, low, seen) {
                prop_assert!(exec_loop(per_s, high, seen).unwrap().confidence >= signal.confidence);
            }
        }

        #[test]
        fn the_loop_s_arithmetic_gives_the_verdict(
            per_s in 1..500u64,
            seen in 1..1_000u64,
            part in 0.0..1.0f64,
        ) {
            let Some(signal) = exec_loop(per_s, (seen as f64 * part) as u64, seen) else { return Ok(()) };
            let value = |name: &str| value(&signal, name);
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            prop_assert_eq!(value("exec rate"), value("execs") / value("window"));
            let share = value("of the 4 most frequent command lines") / value("execs seen with their command \
                line");
            prop_assert_eq!(value("repeated share"), share);
            prop_assert_eq!(signal.confidence, share * value("share of execs seen"));
        }
    }
}
