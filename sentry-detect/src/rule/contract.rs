//! What a rule is.

use super::{limits::Section, past::Past};
use crate::{
    event::Event,
    evidence::Show,
    runaway::{RuleId, RunawaySignal},
    sensitive::Class,
};

/// A symptom to look for in one run. A rule is a file of this directory and a row of
/// [`table`](super::table).
pub(crate) trait Rule: Sized {
    /// What it is judged by.
    type Limits: Section;
    /// Its name, and how the documentation has it.
    const ABOUT: About;
    /// How many things it can be a finding about, each of which cools down by itself.
    const SUBJECTS: usize = 1;
    /// Whether an act on the run makes it forget what it saw and found: what was before the act
    /// says nothing about what comes after it.
    const FORGETS: bool = true;
    /// Whether it is one finding for as long as it goes on holding.
    const FOLDS: bool = false;
    /// A rule that comes before it in the table and, while it holds, is the finding for both: what
    /// this one looks for is part of that.
    const COVERED_BY: Option<RuleId> = None;

    /// For a run that begins at `now_unix_ns`.
    fn new(limits: &Self::Limits, now_unix_ns: u64) -> Self;

    /// The longest time that it looks back over readings, ms; 0: not at them at all.
    fn looks_back_ms(_limits: &Self::Limits) -> u64 {
        0
    }

    /// The default reaction: whether a finding leads to acts once it is severe and sure enough.
    /// Only where a rule says that it does.
    fn leads_to_acts(_limits: &Self::Limits) -> bool {
        false
    }

    /// Other thresholds hold from `now_unix_ns` on.
    fn set(&mut self, _before: &Self::Limits, _limits: &Self::Limits, _now_unix_ns: u64) {}

    /// Takes an event. A fixed amount of work, without an allocation once its tables are warm.
    fn event(&mut self, _seen: &Seen<'_>) {}

    /// Time has come to `now_unix_ns`.
    fn advance(&mut self, _now_unix_ns: u64) {}

    /// Whether it holds for one of its subjects, at the newest reading.
    fn judge(&mut self, subject: usize, past: &Past, limits: &Self::Limits) -> Option<Verdict>;

    /// All subjects of a reading have been judged.
    fn judged(&mut self) {}

    /// Forgets what it has seen.
    fn clear(&mut self) {}
}

/// A rule as people meet it.
#[derive(Clone, Debug)]
pub struct About {
    pub id: RuleId,
    /// When it is a finding.
    pub when: &'static str,
    /// How severe that is, and what it leads to where that is not the ladder of acts.
    pub severity: &'static str,
    pub urgency: Urgency,
}

/// The order of the findings of one reading: the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Grows until nothing else runs.
    Grows,
    /// Keeps the kernel busy.
    Loads,
    /// Uses what it was given.
    Uses,
    /// To be known.
    Known,
}

/// An event as rules see it.
pub(crate) struct Seen<'a> {
    pub(crate) event: &'a Event,
    /// Fingerprint of the command line, of an exec.
    pub(crate) command: Option<u64>,
    /// The class of a sensitive file that is opened for reading, and its number.
    pub(crate) secret: Option<(usize, &'a Class)>,
    /// Of fingerprints in this run.
    pub(crate) seed: u64,
}

impl Seen<'_> {
    /// Who did it, as summaries name it: the program's path, cut to `longest` bytes.
    pub(crate) fn by(&self, longest: usize) -> String {
        match &self.event.process.executable {
            Some(file) => cut(&file.path.text, longest).to_owned(),
            None => format!("process {}", self.event.process.key.tgid),
        }
    }

    /// The path of the program; empty where it is not known.
    pub(crate) fn program(&self) -> &str {
        self.event.process.executable.as_ref().map_or("", |file| file.path.text.as_str())
    }
}

/// The beginning of a text, of at most `longest` bytes.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

/// A rule that holds.
pub(crate) struct Verdict {
    pub(crate) signal: RunawaySignal,
    /// When the counted behaviour began.
    pub(crate) since_unix_ns: u64,
    pub(crate) shown: Shown,
    pub(crate) tags: &'static [&'static str],
}

/// Which events show it.
pub(crate) enum Shown {
    /// The newest since it began.
    Newest(Show),
    /// This one; none where the id is empty.
    One(String),
    /// These, in their order.
    Each(Vec<String>),
}
