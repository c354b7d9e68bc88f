//! The cases beside rules, run.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use sentry_detect::event::Ring;

use crate::{
    case::Case,
    field::Facts as _,
    file::Verdict,
    judge::{Judge, Tally},
    rule::Rule,
    set::RuleSet,
    window::Mark,
};

/// When the first event of a case happens.
const START_NS: u64 = 1_700_000_000_000_000_000;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub rule: String,
    pub case: String,
    /// Where it stands.
    pub file: String,
    pub line: u64,
    /// `None`: the rule was not to match.
    pub expected: Option<Verdict>,
    pub verdict: Option<Verdict>,
    /// The condition had no answer.
    pub has_error: bool,
}

impl Tried {
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.expected == self.verdict && !self.has_error
    }
}

/// Runs the cases of all rules, each with its rule alone.
#[must_use]
pub fn run(set: &Arc<RuleSet>) -> Vec<Tried> {
    set.rules().iter().flat_map(|rule| rule.cases.iter().map(|case| tried(set, rule, case))).collect()
}

fn tried(set: &Arc<RuleSet>, rule: &Rule, case: &Case) -> Tried {
    let tally = Arc::new(Tally::default());
    let is_for = case.agent.as_ref().is_none_or(|agent| rule.is_for(agent));
    let judge = Judge::of(set, |other| is_for && other.id == rule.id, "case", &tally);
    let mut verdict = None;
    if let Some(mut judge) = judge {
        let types = case.types();
        for number in (0..case.times).filter(|_| rule.on.meets(types)) {
            let time_unix_ns = START_NS.saturating_add(case.every_ns.saturating_mul(number));
            let mark = Mark { time_unix_ns, sequence: number, ring: Ring::Critical };
            verdict = judge.take(case, types, mark).or(verdict);
        }
    }
    Tried {
        rule: rule.id.to_string(),
        case: case.name.clone(),
        file: rule.file.clone(),
        line: case.line,
        expected: case.expected,
        verdict,
        has_error: tally.errors.load(Relaxed) > 0,
    }
}
