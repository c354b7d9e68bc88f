//! Commands that fail the same way again and again, however slowly.
//!
//! A row is a command line with the way it ended. It goes on counting while the same failure comes
//! again with at most [`BETWEEN`] other ends of commands in between, within the pause, and with
//! nothing changed that somebody who came later read. So `A, B, A, B` counts `A`, and an edit
//! between two tests starts it anew. Ends of one reading count together: their order means nothing.
//!
//! [`ROWS`] rows; when all are taken, the one that failed least often leaves.

use std::fmt::Write as _;

use crate::event::Process;

/// Failures kept.
const ROWS: usize = 8;
/// Other commands that may end between two equal failures: a loop of up to four commands, twice.
pub(crate) const BETWEEN: u64 = 8;
/// Longest text kept of a command line, bytes.
const LONGEST: usize = 96;
/// From so many equal failures on it is asked whether what is read was changed.
const SUSPICIOUS: u64 = 2;

/// How a command ended that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Code(u32),
    Signal(u32),
}

impl End {
    /// For fingerprints.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Code(code) => u64::from(code),
            Self::Signal(signal) => 1 << 32 | u64::from(signal),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Equal failures in a row.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Fingerprint of the command line alone.
    command: u64,
    what: u64,
    pub(crate) end: End,
    pub(crate) times: u64,
    /// Since the newest reading.
    coming: u64,
    /// Time of the reading before the first, and before the newest.
    pub(crate) first_unix_ns: u64,
    pub(crate) last_unix_ns: u64,
    /// Commands that had ended when the reading of the newest was over.
    ended_by: u64,
    /// The command line, cut.
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Failures {
    rows: Vec<Failure>,
    pause_ns: u64,
    now_unix_ns: u64,
    /// Commands that ended up to the newest reading, and since.
    ended: u64,
    ending: u64,
    has_changed: bool,
    is_suspicious: bool,
}

impl Failures {
    pub(crate) fn new(pause_ns: u64, now_unix_ns: u64) -> Self {
        Self {
            rows: Vec::with_capacity(ROWS),
            pause_ns,
            now_unix_ns,
            ended: 0,
            ending: 0,
            has_changed: false,
            is_suspicious: false,
        }
    }

    /// A command has ended well.
    pub(crate) fn succeeded(&mut self) {
        self.ending += 1;
    }

    /// A command has failed; `what` is the fingerprint of the command line and the way it ended.
    pub(crate) fn failed(&mut self, command: u64, what: u64, end: End, process: &Process) {
        self.ending += 1;
        if let Some(row) = self.rows.iter_mut().find(|row| row.what == what) {
            row.coming += 1;
            return;
        }
        let (now, ended_by) = (self.now_unix_ns, self.ended);
        let new = |text| Failure {
            command,
            what,
            end,
            times: 0,
            coming: 1,
            first_unix_ns: now,
            last_unix_ns: now,
            ended_by,
            text,
        };
        if self.rows.len() < ROWS {
            self.rows.push(new(text_of(process, String::with_capacity(LONGEST))));
            return;
        }
        let rarest = self.rows.iter_mut().min_by_key(|row| (row.times + row.coming, row.ended_by, row.what));
        if let Some(rarest) = rarest {
            *rarest = new(text_of(process, std::mem::take(&mut rarest.text)));
        }
    }

    /// Whether it matters if what is read was changed.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.is_suspicious
    }

    /// Whether this command line is one that fails.
    pub(crate) fn has(&self, command: u64) -> bool {
        self.rows.iter().any(|row| row.command == command && row.times >= SUSPICIOUS)
    }

    /// What was changed was read by somebody who came later: the next try is another one.
    pub(crate) fn changed(&mut self) {
        self.has_changed = true;
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        let since = self.now_unix_ns;
        self.now_unix_ns = now_unix_ns.max(since);
        self.ended += std::mem::take(&mut self.ending);
        let has_changed = std::mem::take(&mut self.has_changed);
        for row in &mut self.rows {
            let coming = std::mem::take(&mut row.coming);
            if coming > 0 {
                row.came(coming, since, self.ended, self.pause_ns);
            }
            if has_changed {
                row.times = 0;
            }
        }
        self.is_suspicious = self.rows.iter().any(|row| row.times >= SUSPICIOUS);
    }

    /// The one that came most often, of those that are still coming.
    pub(crate) fn most(&self) -> Option<&Failure> {
        let is_coming = |row: &&Failure| self.now_unix_ns.saturating_sub(row.last_unix_ns) <= self.pause_ns;
        self.rows.iter().filter(is_coming).max_by_key(|row| (row.times, row.what))
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.has_changed = false;
        self.is_suspicious = false;
    }
}

impl Failure {
    /// It came so often between the reading at `since` and the next.
    fn came(&mut self, coming: u64, since: u64, ended: u64, pause_ns: u64) {
        let others = ended.saturating_sub(self.ended_by).saturating_sub(coming);
        let is_near = others <= BETWEEN * coming && since.saturating_sub(self.last_unix_ns) <= pause_ns;
        if self.times == 0 || !is_near {
            (self.times, self.first_unix_ns) = (0, since);
        }
        (self.times, self.last_unix_ns, self.ended_by) = (self.times + coming, since, ended);
    }
}

/// The command line of a process, written into `text`.
fn text_of(process: &Process, mut text: String) -> String {
    text.clear();
    let argv = process.argv.iter().flat_map(|argv| &argv.arguments);
    for argument in argv {
        if !text.is_empty() {
            text.push(' ');
        }
        let room = LONGEST.saturating_sub(text.len() + 3);
        let cut = argument.floor_char_boundary(room);
        text.push_str(&argument[..cut]);
        if cut < argument.len() {
            text.push('…');
            return text;
        }
    }
    if text.is_empty() {
        match &process.executable {
            Some(file) => text.push_str(&file.path.text[..file.path.text.floor_char_boundary(LONGEST)]),
            // Writing to a text does not fail.
            None => drop(write!(text, "process {}", process.key.tgid)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ProcessKey;

    const S: u64 = 1_000_000_000;

    fn process(argv: &[&str]) -> Process {
        let arguments = argv.iter().map(|&argument| argument.to_owned()).collect();
        Process {
            key: ProcessKey { tgid: 7, start_boot_ns: 1 },
            tid: 7,
            parent: None,
            executable: None,
            argv: Some(crate::event::Argv { arguments, truncated: false, full_length_bytes: 0 }),
            cwd: None,
            uid: None,
            gid: None,
            euid: None,
            pre_existing: false,
        }
    }

    /// A reading each second, with what ended in it: `true` for the failure in question.
    fn times(seconds: impl IntoIterator<Item = Vec<bool>>) -> u64 {
        let mut failures = Failures::new(5 * S, 0);
        for (second, ends) in (1..).zip(seconds) {
            for fails in ends {
                if fails {
                    failures.failed(1, 2, End::Code(7), &process(&["curl", "x"]));
                } else {
                    failures.succeeded();
                }
            }
            failures.advance(second * S);
        }
        failures.most().map_or(0, |most| most.times)
    }

    #[test]
    fn equal_failures_count_also_between_a_few_other_commands() {
        assert_eq!(times(vec![vec![true]; 30]), 30);
        assert_eq!(times(vec![vec![true, false, false, false]; 30]), 30);
        assert_eq!(
            times((0..20).map(|second| if second % 2 == 0 { vec![true] } else { vec![false; 8] })),
            10
        );
        assert_eq!(times((0..20).map(|second| if second % 2 == 0 { vec![true] } else { vec![false; 9] })), 1);
    }

    #[test]
    fn a_pause_begins_anew_and_ends_it() {
        let paused = |pause: usize| {
            let pause = vec![Vec::new(); pause];
            times(vec![vec![true]; 4].into_iter().chain(pause).chain(vec![vec![true]; 3]))
        };
        assert_eq!((paused(4), paused(6)), (7, 3));
        assert_eq!(times(std::iter::once(vec![true]).chain(vec![Vec::new(); 9])), 0);
    }

    #[test]
    fn what_was_changed_begins_anew() {
        let mut failures = Failures::new(S, 0);
        for second in 1..=9 {
            failures.failed(1, 2, End::Signal(11), &process(&["t"]));
            if second == 6 {
                failures.changed();
            }
            failures.advance(second);
        }
        assert_eq!(failures.most().map(|most| most.times), Some(3));
        assert!(failures.is_suspicious() && failures.has(1) && !failures.has(2));
    }

    #[test]
    fn the_rarest_failure_leaves_and_a_text_is_cut() {
        let mut failures = Failures::new(S, 0);
        for what in 0..3 * ROWS as u64 {
            failures.failed(9, 1_000, End::Code(1), &process(&["make", &"x".repeat(300)]));
            failures.failed(what, what, End::Code(1), &process(&["cc"]));
        }
        failures.advance(1);
        let most = failures.most().cloned();
        assert_eq!(most.as_ref().map(|most| (most.times, most.text.len())), Some((3 * ROWS as u64, LONGEST)));
        assert_eq!(failures.rows.len(), ROWS);
    }

    #[test]
    fn ends_are_told_apart() {
        assert_ne!(End::Code(9).number(), End::Signal(9).number());
        assert_eq!(
            (End::Code(1).to_string(), End::Signal(9).to_string()),
            ("exit code 1".into(), "signal 9".into())
        );
    }
}
