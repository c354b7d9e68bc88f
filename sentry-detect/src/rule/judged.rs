//! A rule with what it has found: it is a finding when it begins to hold, and again only when it
//! still holds after the cool-down, or once it has become sure enough to act on.

use super::{
    common::Common,
    contract::{Rule, Seen, Urgency, Verdict},
    past::{Past, ns},
};

/// A rule in one run.
pub(crate) struct Judged<R> {
    rule: R,
    /// By subject.
    found: Vec<Option<Found>>,
}

/// When a rule was last a finding, and whether it was one to act on.
#[derive(Clone, Copy, Debug)]
struct Found {
    unix_ns: u64,
    sure: bool,
}

/// Findings of one reading, before they have their ids.
pub(crate) type Verdicts = Vec<(Urgency, Verdict)>;

impl<R: Rule> Judged<R> {
    pub(crate) fn new(limits: &R::Limits, now_unix_ns: u64) -> Self {
        Self { rule: R::new(limits, now_unix_ns), found: vec![None; R::SUBJECTS] }
    }

    pub(crate) fn set(&mut self, before: &R::Limits, limits: &R::Limits, now_unix_ns: u64) {
        self.rule.set(before, limits, now_unix_ns);
    }

    pub(crate) fn event(&mut self, seen: &Seen<'_>) {
        self.rule.event(seen);
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        self.rule.advance(now_unix_ns);
    }

    /// Judges the newest reading.
    pub(crate) fn judge(
        &mut self,
        now_unix_ns: u64,
        past: &Past,
        limits: &R::Limits,
        common: &Common,
        verdicts: &mut Verdicts,
    ) {
        // Where it leads to no act, there is nothing to become sure enough for.
        let always_sure = !R::leads_to_acts(limits);
        for (subject, found) in self.found.iter_mut().enumerate() {
            let cools_down =
                found.filter(|found| now_unix_ns.saturating_sub(found.unix_ns) < ns(common.cool_down_ms));
            if cools_down.is_some_and(|before| before.sure) {
                continue;
            }
            let Some(verdict) = self.rule.judge(subject, past, limits) else { continue };
            let sure = always_sure || verdict.signal.confidence >= common.act_min_confidence;
            // Found when it could not be acted on yet: it must not be let go on because of that.
            if cools_down.is_none() || sure {
                *found = Some(Found { unix_ns: now_unix_ns, sure });
                verdicts.push((R::ABOUT.urgency, verdict));
            }
        }
        self.rule.judged();
    }

    /// The run was acted on.
    pub(crate) fn acted(&mut self) {
        if R::FORGETS {
            self.rule.clear();
            self.found.fill(None);
        }
    }
}
